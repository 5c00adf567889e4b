package statefulset

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAThirdVersionInEveryPhaseIsHeldAsOneRelease(t *testing.T) {
	t.Parallel()
	inPhases(t, nil, func(t *testing.T, s harness.Set, p phase, proceed func()) {
		stable := s.Pods()
		s.SetImage(v3)
		proceed()
		s.WaitPhase(canary.Waiting, 1)
		if !p.promoted { // else some pods of the promoted version are there
			requireHeld(t, s, 1, v1, v1, v3)
			requireKept(t, stable, s.Pods(), "db-0", "db-1")
		}
		s.Approve()
		s.WaitStable(v3)
		require.Zero(t, s.Partition())
		s.Quiet()
	})
}

// TestWhatChangesNoVersion: the same file put again changes nothing, another strategy is refused,
// a partition is remembered. Then the old version comes back.
func TestWhatChangesNoVersion(t *testing.T) {
	t.Parallel()
	inPhases(t, nil, func(t *testing.T, s harness.Set, p phase, proceed func()) {
		before, stable := s.Release(), s.Pods()
		s.Replace(s.Manifest(db().Replicas(3).Image(p.applied()).Obj()))
		after := s.Release()
		require.NotNil(t, after)
		require.Equal(t, before.ID, after.ID)
		require.Equal(t, before.Approvals, after.Approvals)
		require.Equal(t, before.Gate, after.Gate)
		s.Refused("alice", []string{"the strategy of statefulset/db cannot change while release", "apply the old version first"},
			"kubectl", "patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}`)
		s.StatePartition(1)
		if p.promoted {
			s.Mark("db", watch.Native) // the rollout may be complete by now
		}
		s.SetImage(v1)
		proceed()
		s.WaitReleased()
		require.EqualValues(t, 1, s.Partition())
		require.Equal(t, v1, s.Image())
		if !p.promoted {
			s.WaitImages(v1, v1, v1)
			requireKept(t, stable, s.Pods(), "db-0", "db-1")
		}
		s.Quiet()
	})
}

// TestAThirdVersionPutFromAFileInEveryPhase: the file has nothing of what is sluice's.
func TestAThirdVersionPutFromAFileInEveryPhase(t *testing.T) {
	t.Parallel()
	inPhases(t, nil, func(t *testing.T, s harness.Set, p phase, proceed func()) {
		before := s.Release()
		s.Replace(s.Manifest(db().Replicas(3).Image(v3).Obj()))
		after := s.Release()
		require.Greater(t, after.ID, before.ID)
		require.EqualValues(t, harness.Closed, s.Partition())
		proceed()
		s.WaitPhase(canary.Waiting, 1)
		if !p.promoted {
			requireHeld(t, s, 1, v1, v1, v3)
			s.Replace(s.Manifest(db().Replicas(3).Obj()))
			s.WaitStable(v1)
			require.Zero(t, s.Partition())
			return
		}
		s.Abort()
		s.WaitPhase(canary.Aborted, 1)
		s.WaitCount(v3, 0) // Kubernetes makes pods of v1 in their place: the mix is held
		// The promoted version is the stable one: it needs no approval.
		s.Replace(s.Manifest(db().Replicas(3).Image(p.image).Obj()))
		s.WaitStable(p.image)
	})
}

func TestTheOldVersionWhileItIsPromotedReverts(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(db().Replicas(3).Obj())
	proceed := phases()[promoting].reach(t, s)
	s.Mark("db", watch.Native) // the rollout may be complete by now
	s.SetImage(v1)
	proceed()
	s.WaitStable(v1)
	require.Zero(t, s.Partition())
	s.Quiet()
}

func TestReplicasChanged(t *testing.T) {
	t.Parallel()
	for _, to := range []int{5, 2} {
		t.Run(fmt.Sprintf("from 3 to %d", to), func(t *testing.T) {
			t.Parallel()
			inPhases(t, nil, func(t *testing.T, s harness.Set, p phase, proceed func()) {
				if p.open {
					s.Mark("db", watch.Rushed)
				}
				before := s.Release()
				s.Kubectl("scale", "statefulset/db", fmt.Sprintf("--replicas=%d", to))
				proceed()
				endsAs(t, s, p, before, to)
				require.EqualValues(t, to, *s.Get().Spec.Replicas)
			})
		})
	}
}

// endsAs requires the end that a release comes to from a phase where N changed.
func endsAs(t *testing.T, s harness.Set, p phase, before *canary.Release, n int) {
	t.Helper()
	switch {
	case before.Phase == canary.Aborted:
		s.WaitImages(slices.Repeat([]string{v1}, n)...)
		require.Equal(t, canary.Aborted, s.Release().Phase)
		s.SetImage(v1)
		s.WaitStable(v1)
	case p.image == unready:
		s.Wait("one pod of the new version is there, behind a closed partition", func(set *appsv1.StatefulSet) bool {
			return set.Status.ObservedGeneration == set.Generation && set.Status.UpdatedReplicas == 1 &&
				set.Status.Replicas == int32(min(n, 3)) && *set.Spec.UpdateStrategy.RollingUpdate.Partition == harness.Closed
		})
		s.Quiet()
		require.Equal(t, canary.Progressing, s.Release().Phase)
		s.SetImage(v1)
		s.WaitStable(v1)
	case before.Phase == canary.Progressing || (before.Phase == canary.Waiting && len(before.Approvals) == 0):
		s.WaitPhase(canary.Waiting, 1)
		s.WaitCount(p.image, 1)
		s.WaitCount(v1, n-1)
		s.WaitPhase(canary.Waiting, 1)
		s.Approve()
		s.WaitStable(p.image)
	default:
		s.WaitStable(p.applied())
	}
	require.Zero(t, s.Partition())
	s.Quiet()
}
