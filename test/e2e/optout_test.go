package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAWorkloadThatOptsOutInTheMiddleOfARelease(t *testing.T) {
	t.Parallel()
	out := []string{"label", "deployment/web", canary.EnabledLabel + "=false"}
	t.Run("can still be finished", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		release := requireHeld(t, n, v2, 1, 3)
		require.Zero(t, n.Command("admin", "kubectl", out...).Code)
		require.Equal(t, release, n.Release("web"))
		require.True(t, n.Deployment("web").Spec.Paused)
		n.Approve("web")
		n.WaitStable("web")
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v3).Warnings())
		n.WaitStable("web")
	})
	t.Run("can still be aborted", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		stable := n.PodsOf("web", v1)
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		require.Zero(t, n.Command("admin", "kubectl", out...).Code)
		n.Abort("web")
		n.PodsOfEventually("web", v2, 0)
		require.Contains(t, n.SetImage("web", v1).Stderr, "is back at its stable version")
		n.WaitStable("web")
		require.Equal(t, stable, n.PodsOf("web", v1))
	})
}

// TestAReleaseScaledToZeroWhereItsNamespaceOptedOut: a Scale of such a namespace never reaches sluice, so the
// controller brings the stable version back.
func TestAReleaseScaledToZeroWhereItsNamespaceOptedOut(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.OptOut()
	n.Mark("web", watch.Disturbed)
	n.Refused("alice", []string{"cannot be scaled to 0"}, "kubectl", "patch", "deployment/web", "-p", `{"spec":{"replicas":0}}`)
	n.Kubectl("scale", "deployment/web", "--replicas=0")
	n.PodsOfEventually("web", v1, 0)
	n.Kubectl("scale", "deployment/web", "--replicas=3")
	n.PodsOfEventually("web", v1, 3)
	n.Mark("web", watch.Restored)
	requireHeld(t, n, v2, 1, 3)
	n.Approve("web")
	n.WaitStable("web")
}

// TestANewVersionWhereItsNamespaceOptedOutGoesNative, and takes the hold with it.
func TestANewVersionWhereItsNamespaceOptedOutGoesNative(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.OptOut()
	n.Mark("web", watch.Native)
	require.Contains(t, n.SetImage("web", v3).Stderr, "deployment/web rolls out natively, without a canary: ")
	require.False(t, n.WaitStable("web").Spec.Paused)
	require.Equal(t, map[string]int{v3: 3}, podImages(n.LivePods(t.Context(), "web")))
}
