// Package statefulset shows releases of StatefulSets on a real control plane.
package statefulset

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

var (
	listOptions   = metav1.ListOptions{}
	patchOptions  = metav1.PatchOptions{}
	deleteOptions = metav1.DeleteOptions{}
)

// env is the one control plane of this package; each test has a namespace of its own.
var env *harness.Env

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) { env = e }))
}

// db is the StatefulSet that most tests start from: four pods of v1, made in order.
func db() *builders.StatefulSetBuilder { return builders.MakeStatefulSet("db").Replicas(4) }

// four is a set of that in a namespace of its own, whose releases have these steps.
func four(t *testing.T, steps string) harness.Set {
	t.Helper()
	return env.Namespace(t, harness.Steps(steps)).CreateSet(db().Obj())
}

// requireHeld requires that a version waits at a step with these pods.
func requireHeld(t *testing.T, s harness.Set, step int, images ...string) *canary.Release {
	t.Helper()
	s.WaitPhase(canary.Waiting, step)
	s.WaitImages(images...)
	// It may have waited with other pods before, as before a change of N; now these are there.
	r := s.WaitPhase(canary.Waiting, step)
	require.EqualValues(t, harness.Closed, s.Partition())
	return r
}

// quietWhenAborted is Quiet once the set's condition tells of the abort, which is the last that sluice writes.
func quietWhenAborted(s harness.Set) {
	s.Wait("its condition tells of the abort", func(set *appsv1.StatefulSet) bool {
		return slices.ContainsFunc(set.Status.Conditions, func(c appsv1.StatefulSetCondition) bool { return c.Type == canary.ConditionStalled })
	})
	s.Quiet()
}

// holdWarning is what whoever starts a release reads.
func holdWarning(s harness.Set, r *canary.Release, steps int, pods string) string {
	return fmt.Sprintf("sluice: statefulset/db is held as release %d: step 1 of %d runs %s; once available, approve with: "+
		"kubectl annotate statefulset/db -n %s --overwrite sluice.dev/approve=%d/1", r.ID, steps, pods, s.Name, r.ID)
}

// requireKept requires that these pods are the ones that were there before.
func requireKept(t *testing.T, before, after podsByName, names ...string) {
	t.Helper()
	for _, name := range names {
		require.Equal(t, before[name].UID, after[name].UID, "%s was not touched", name)
	}
}

// revisionsRun returns the revisions of which pods were ever made.
func revisionsRun(s harness.Set) []string {
	found := map[string]bool{}
	for _, e := range s.Recorded() {
		if e.Pod != nil {
			found[e.Pod.Labels[appsv1.StatefulSetRevisionLabel]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// breakPod makes a pod unready, as a failing probe does.
func breakPod(ctx context.Context, s harness.Set, name string) error {
	patch := `{"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"}]}}`
	_, err := s.Admin.CoreV1().Pods(s.Name).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), patchOptions, "status")
	return err
}
