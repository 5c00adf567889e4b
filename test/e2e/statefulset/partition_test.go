package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAPartitionThatNoPodReachesDelaysStepOne(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("25%")).CreateSet(db().Partition(4).Obj())
	result := s.SetImage(v2)
	require.Contains(t, result.Stderr, `starts at step 1 with: kubectl patch statefulset/db -n `+s.Name)
	s.WaitPhase(canary.Progressing, 0)
	s.Quiet()
	require.Equal(t, []string{v1, v1, v1, v1}, s.Images())
	s.StatePartition(0) // no approval
	requireHeld(t, s, 1, v1, v1, v1, v2)
	s.Approve()
	s.WaitStable(v2)
	require.Zero(t, s.Partition())
}

// TestAPartitionKeepsThePodsBelowIt: above it runs the new version, below it the one before, and pods that
// are made anew while the next one is held are of the one before too.
func TestAPartitionKeepsThePodsBelowIt(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("25%, 100%")).CreateSet(db().Partition(2).Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v1, v2)
	s.Approve()
	requireHeld(t, s, 2, v1, v1, v2, v2)
	s.Approve()
	s.WaitReleased()
	require.EqualValues(t, 2, s.Partition())
	require.Equal(t, []string{v1, v1, v2, v2}, s.Images())

	s.SetImage(v3)
	requireHeld(t, s, 1, v1, v1, v2, v3)
	s.Abort()
	s.WaitImages(v1, v1, v2, v1)
	s.SetImage(v2)
	s.WaitReleased()
	s.WaitImages(v1, v1, v2, v2)
	require.EqualValues(t, 2, s.Partition())

	s.SetImage(v1) // Kubernetes makes pods of it whatever is held
	s.WaitStable(v1)
	require.EqualValues(t, 2, s.Partition())
	s.Quiet()
}
