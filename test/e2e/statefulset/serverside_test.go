package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestServerSideApplyThatStatesThePartitionHasNoConflictInAnyPhase, and nobody forces anything.
func TestServerSideApplyThatStatesThePartitionHasNoConflictInAnyPhase(t *testing.T) {
	t.Parallel()
	for name, p := range phases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t)}
			apply := func(image string) harness.Result {
				return s.Kubectl("apply", "--server-side", "-f", s.Manifest(db().Replicas(3).Partition(0).Image(image).Obj()))
			}
			s.Deliver = apply
			apply(v1)
			s.WaitComplete()
			proceed := p.reach(t, s)
			before := s.Release()
			apply(p.applied())
			require.Equal(t, before.ID, s.Release().ID)
			require.Equal(t, before.Approvals, s.Release().Approvals)
			apply(v3)
			proceed()
			s.WaitPhase(canary.Waiting, 1)
			s.Approve()
			s.WaitStable(v3)
			require.Zero(t, s.Partition())
			apply(v2)
			requireHeld(t, s, 1, v3, v3, v2)
			apply(v3)
			s.WaitStable(v3)
			require.Zero(t, s.Partition())
			s.Quiet()
		})
	}
}
