package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestScaleIsNotHeldAndTheCanaryFollows(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	require.Empty(t, n.Kubectl("scale", "deployment/web", "--replicas=4").Warnings())
	n.WaitStable("web")
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 4)
	n.Kubectl("scale", "deployment/web", "--replicas=6")
	n.Eventually("the canary has the two pods of 20 % of 6", func(context.Context) error {
		if got := len(n.PodsOf("web", v2)); got != 2 {
			return fmt.Errorf("it has %d", got)
		}
		return nil
	})
	requireHeld(t, n, v2, 2, 6)
}

func TestReplicasChangeWhileHeld(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to, canaries int
	}{
		"from 10 to 15": {10, 15, 3},
		"from 10 to 3":  {10, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Replicas(int32(test.from)).Obj())
			n.SetImage("web", v2)
			n.WaitPhase("web", canary.Waiting, 1)
			n.Kubectl("scale", "deployment/web", fmt.Sprintf("--replicas=%d", test.to))
			n.PodsOfEventually("web", v1, test.to)
			n.PodsOfEventually("web", v2, test.canaries)
			n.WaitDeployment("web", "all stable pods are available", func(d *appsv1.Deployment) bool {
				return d.Status.AvailableReplicas == int32(test.to)
			})
			requireHeld(t, n, v2, test.canaries, test.to)
			n.Approve("web")
			n.WaitStable("web")
			require.Equal(t, map[string]int{v2: test.to}, podImages(n.LivePods(t.Context(), "web")))
		})
	}
}

func TestAReleaseCannotBeScaledToZero(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	wayOut := []string{fmt.Sprintf("deployment/web cannot be scaled to 0 while release %d is under way", release.ID),
		"kubectl rollout resume deployment/web -n " + n.Name, "apply the old version first"}
	n.Refused("alice", wayOut, "kubectl", "patch", "deployment/web", "-p", `{"spec":{"replicas":0}}`)
	n.Refused("alice", wayOut, "kubectl", "scale", "deployment/web", "--replicas=0")
	require.Equal(t, int32(3), *n.Deployment("web").Spec.Replicas)
	n.SetImage("web", v1)
	n.WaitStable("web")
	n.Kubectl("scale", "deployment/web", "--replicas=0")
	n.WaitStable("web")
}

func TestAnAutoscalerCannotScaleAReleaseToZero(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	_, err := n.Admin.AppsV1().Deployments(n.Name).UpdateScale(t.Context(), "web",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: n.Name}}, updateOptions)
	require.ErrorContains(t, err, "deployment/web cannot be scaled to 0 while release")
	require.Equal(t, int32(3), *n.Deployment("web").Spec.Replicas)
}

func TestAStableReplicaSetThatIsDeletedWhileHeldComesBack(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int32{"with a history": 10, "with revisionHistoryLimit 0": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().HistoryLimit(limit).Obj())
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
			stable := n.Deployment("web").Name
			for _, rs := range n.ReplicaSets("web") {
				if rs.Labels[canary.WorkloadLabel] == "" {
					stable = rs.Name
				}
			}
			n.Mark("web", watch.Disturbed)
			require.NoError(t, n.Admin.AppsV1().ReplicaSets(n.Name).Delete(t.Context(), stable, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
			n.WaitEvent("web", "StableRestored")
			n.WaitDeployment("web", "the stable pods are back", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 3 })
			n.PodsOfEventually("web", v1, 3)
			n.Mark("web", watch.Restored)
			requireHeld(t, n, v2, 1, 3)
			n.SetImage("web", v1)
			n.WaitStable("web")
			require.Equal(t, map[string]int{v1: 3}, podImages(n.LivePods(t.Context(), "web")))
		})
	}
}
