package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestTheUsersOwnPause(t *testing.T) {
	t.Parallel()
	t.Run("without a release is native", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Kubectl("rollout", "pause", "deployment/web")
		require.True(t, n.Deployment("web").Spec.Paused)
		n.Kubectl("rollout", "resume", "deployment/web")
		require.False(t, n.Deployment("web").Spec.Paused)
		require.Nil(t, n.Release("web"))
	})
	t.Run("delays step one of a new version until they resume", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Kubectl("rollout", "pause", "deployment/web")
		result := n.SetImage("web", v2)
		require.Contains(t, result.Stderr, "starts at step 1 with: kubectl rollout resume deployment/web -n "+n.Name)
		n.WaitPhase("web", canary.Progressing, 0)
		n.WaitEvent("web", "ReleaseHeld") // sluice has seen it and has nothing to do
		n.Quiet("web")
		require.Empty(t, n.PodsOf("web", v2))
		n.Mark("web", watch.Unpaused)
		n.Kubectl("rollout", "resume", "deployment/web") // no approval
		requireHeld(t, n, v2, 1, 3)
		n.Approve("web")
		n.WaitStable("web")
		require.False(t, n.Deployment("web").Spec.Paused)
	})
}

func TestAPauseStatedDuringAReleaseIsInForceAfterwards(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Kubectl("apply", "-f", n.Manifest(web().Obj()))
	n.WaitStable("web")
	n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Obj()))
	requireHeld(t, n, v2, 1, 3)
	n.Mark("web", watch.Paused)
	n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Paused().Obj()))
	n.Kubectl("set", "image", "deployment/web", "app="+v1)
	d := n.WaitDeployment("web", "the release is over", func(d *appsv1.Deployment) bool { return d.Annotations[canary.ReleaseAnnotation] == "" })
	require.True(t, d.Spec.Paused, "the user's own pause")
}
