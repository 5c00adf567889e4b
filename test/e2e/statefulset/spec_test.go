package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// TestASpecOfTheUsersOwn: a release goes its way, is aborted, tried again and promoted, with what a spec may
// say beyond the template.
func TestASpecOfTheUsersOwn(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*appsv1.StatefulSet){
		"minReadySeconds":             func(s *appsv1.StatefulSet) { s.Spec.MinReadySeconds = 2 },
		"a revisionHistoryLimit of 0": func(s *appsv1.StatefulSet) { s.Spec.RevisionHistoryLimit = new(int32(0)) },
		"a maxUnavailable of 2, in parallel": func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt(2))
			s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := db().Partition(0).Obj()
			edit(set)
			s := env.Namespace(t, harness.Steps("50%")).CreateSet(set)
			before := s.Get().Spec
			s.SetImage(v2)
			requireHeld(t, s, 1, v1, v1, v2, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1, v1)
			s.Retry()
			requireHeld(t, s, 1, v1, v1, v2, v2)
			s.Approve()
			s.WaitStable(v2)
			before.Template.Spec.Containers[0].Image = v2
			require.Equal(t, before, s.Get().Spec)
		})
	}
}

// TestTheStableRevisionDeletedWhileHeld: Kubernetes makes pods of the new version from then on.
func TestTheStableRevisionDeletedWhileHeld(t *testing.T) {
	t.Parallel()
	s := four(t, "25%")
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v1, v2)
	s.Mark("db", watch.Disturbed)
	require.NoError(t, s.Admin.AppsV1().ControllerRevisions(s.Name).Delete(t.Context(), s.Get().Status.CurrentRevision, deleteOptions))
	s.Kubectl("annotate", "statefulset/db", "example.com/poke=1")
	require.Contains(t, s.WaitPhase(canary.Aborted, 1).Reason, "the ControllerRevision of the stable version was deleted")
	s.Quiet()
	require.Equal(t, []string{v1, v1, v1, v2}, s.Images())
	s.SetImage(v1)
	s.WaitStable(v1)
	s.Quiet()
}
