package statefulset

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestARollbackAtEachStepReverts: the old version comes back at step one, two and three, by whatever way
// people and Git take.
func TestARollbackAtEachStepReverts(t *testing.T) {
	t.Parallel()
	apply := func(s harness.Set, set *appsv1.StatefulSet) harness.Result {
		return s.Kubectl("apply", "-f", s.Manifest(set))
	}
	serverSide := func(s harness.Set, set *appsv1.StatefulSet) harness.Result {
		return s.Kubectl("apply", "--server-side", "--field-manager=gitops", "--force-conflicts", "-f", s.Manifest(set))
	}
	undo := func(s harness.Set, _ *appsv1.StatefulSet) harness.Result {
		return s.Kubectl("rollout", "undo", "statefulset/db")
	}
	type way func(harness.Set, *appsv1.StatefulSet) harness.Result
	for name, ways := range map[string]struct{ there, back way }{
		"by kubectl apply": {apply, apply},
		"by a Git revert that is applied server-side": {serverSide, serverSide},
		"by kubectl rollout undo":                     {apply, undo},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t, harness.Steps("25%, 50%, 75%"))}
			old, new := db().Parallel().Obj(), db().Parallel().Image(v2).Obj()
			ways.there(s, old)
			s.WaitComplete()
			stable := s.Pods()
			for step := range 3 {
				ways.there(s, new)
				for done := range step {
					s.WaitPhase(canary.Waiting, done+1)
					s.Approve()
				}
				s.WaitPhase(canary.Waiting, step+1)
				s.WaitImages(slices.Concat(slices.Repeat([]string{v1}, 3-step), slices.Repeat([]string{v2}, step+1))...)
				require.Contains(t, ways.back(s, old).Stderr, "is back at its stable version")
				s.WaitStable(v1)
				require.Zero(t, s.Partition())
				requireKept(t, stable, s.Pods(), "db-0")
			}
			s.Quiet()
		})
	}
}

// TestAnAutoscalerInTheMiddleOfARelease: a real one, whose bounds alone make it scale.
func TestAnAutoscalerInTheMiddleOfARelease(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(db().Replicas(3).Parallel().Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v2)
	s.Kubectl("autoscale", "statefulset/db", "--min=6", "--max=8", "--cpu=50%")
	s.WaitImages(v1, v1, v2, v1, v1, v2) // 20 % of six is two
	requireHeld(t, s, 1, v1, v1, v2, v1, v1, v2)
	s.Approve()
	s.WaitStable(v2)
}
