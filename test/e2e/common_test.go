package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

var (
	listOptions   = metav1.ListOptions{}
	patchOptions  = metav1.PatchOptions{}
	updateOptions = metav1.UpdateOptions{}
	createOptions = metav1.CreateOptions{}
	deleteOptions = metav1.DeleteOptions{}
	getOptions    = metav1.GetOptions{}
)

func containsWord(text, word string) bool {
	return slices.Contains(strings.Fields(text), word)
}

func finishing(d *appsv1.Deployment) bool {
	r, err := canary.DecodeRelease(d.Annotations)
	return err == nil && r != nil && r.Stage == canary.Finishing
}

// canaryReplicaSets returns the ReplicaSets that carry sluice's labels.
func canaryReplicaSets(n *harness.Namespace) []appsv1.ReplicaSet {
	return slices.DeleteFunc(n.ReplicaSets("web"), func(rs appsv1.ReplicaSet) bool {
		return rs.Labels[canary.WorkloadLabel] == ""
	})
}

// wasApproved tells whether step one of the release is over; where there is none, it was.
func wasApproved(n *harness.Namespace) bool {
	r := n.Release("web")
	return r == nil || len(r.Approvals) > 0
}

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

// web is the Deployment that most tests start from: three pods of v1.
func web() *builders.DeploymentBuilder { return builders.MakeDeployment("web").Replicas(3) }

// holdWarning is what whoever starts a release reads.
func holdWarning(n *harness.Namespace, release *canary.Release, pods string, replicas int) string {
	return fmt.Sprintf("sluice: deployment/web is held as release %d: step 1 of 1 runs %s beside %d; once available, "+
		"approve with: kubectl rollout resume deployment/web -n %s", release.ID, pods, replicas, n.Name)
}

// requireHeld requires that the template is held with its canary running beside all stable pods.
func requireHeld(t *testing.T, n *harness.Namespace, image string, canaries, stable int) *canary.Release {
	t.Helper()
	what := fmt.Sprintf("%s waits with %d pods beside %d", image, canaries, stable)
	d := n.WaitDeployment("web", what, func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == canary.Waiting && r.Step == 1 && r.Since != nil &&
			d.Status.AvailableReplicas == int32(stable) && len(n.LivePods(t.Context(), "web")) == canaries+stable
	})
	require.True(t, d.Spec.Paused)
	require.Equal(t, image, d.Spec.Template.Spec.Containers[0].Image)
	return n.Release("web")
}

// created counts the pods that were ever created with an image, by UID.
func created(events []watch.Event, image string) int {
	pods := map[types.UID]bool{}
	for _, e := range events {
		if e.Pod != nil && e.Pod.Spec.Containers[0].Image == image {
			pods[e.Pod.UID] = true
		}
	}
	return len(pods)
}

// mostPods is how many pods, without those being deleted, ever were there at once.
func mostPods(events []watch.Event) int {
	live, most := map[types.UID]bool{}, 0
	for _, e := range events {
		if e.Pod == nil {
			continue
		}
		if delete(live, e.Pod.UID); !e.Deleted && e.Pod.DeletionTimestamp == nil {
			live[e.Pod.UID] = true
		}
		most = max(most, len(live))
	}
	return most
}

// replicaSetsMade counts the ReplicaSets that ever existed.
func replicaSetsMade(events []watch.Event) int {
	sets := map[types.UID]bool{}
	for _, e := range events {
		if e.ReplicaSet != nil {
			sets[e.ReplicaSet.UID] = true
		}
	}
	return len(sets)
}

// breakPod makes a pod unready, as a failing probe does.
func breakPod(ctx context.Context, n *harness.Namespace, name string) error {
	patch := `{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"}]}}`
	_, err := n.Admin.CoreV1().Pods(n.Name).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), patchOptions, "status")
	return err
}

func podImages(pods []corev1.Pod) map[string]int {
	counts := map[string]int{}
	for _, p := range pods {
		counts[p.Spec.Containers[0].Image]++
	}
	return counts
}
