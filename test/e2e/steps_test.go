package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestTwoStepsAreApprovedOneByOne(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%, 100%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, map[string]int{v1: 4, v2: 2}, podImages(n.LivePods(t.Context(), "web")))
	first := n.PodsOf("web", v2)

	result := n.Approve("web")
	require.Contains(t, result.Stderr, "step 2 of 2 comes next")
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, map[string]int{v1: 4, v2: 4}, podImages(n.LivePods(t.Context(), "web")))
	require.Subset(t, n.PodsOf("web", v2), first)

	result = n.Approve("web")
	require.Contains(t, result.Stderr, "it is promoted")
	n.WaitStable("web")
	require.Equal(t, 4, created(n.Recorded(), v2))
}

func TestAStepWithADurationGoesOnByItself(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%:2s, 50%"))
	n.Create(web().Replicas(4).Obj())
	result := n.SetImage("web", v2)
	require.Contains(t, result.Stderr, "it goes on after 2s")
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, map[string]int{v1: 4, v2: 2}, podImages(n.LivePods(t.Context(), "web")))
	require.Empty(t, n.Release("web").Approvals)
	n.Approve("web")
	n.WaitStable("web")
}

func TestTimedStepsAlonePromoteWithoutAnybody(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%:1s, 50%:1s"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 4}, podImages(n.LivePods(t.Context(), "web")))
}
