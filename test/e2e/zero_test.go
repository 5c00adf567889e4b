package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/watch"
)

// TestANewVersionTogetherWithNoReplicasIsHeld: when N returns, so does the stable version.
func TestANewVersionTogetherWithNoReplicasIsHeld(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Mark("web", watch.Disturbed)
	n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"replicas":0,"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	require.True(t, n.Deployment("web").Spec.Paused)
	n.PodsOfEventually("web", v1, 0)
	n.WaitDeployment("web", "it is held", func(*appsv1.Deployment) bool { return n.Release("web").Phase != canary.Promoting })
	n.Kubectl("scale", "deployment/web", "--replicas=3")
	n.PodsOfEventually("web", v1, 3)
	n.Mark("web", watch.Restored)
	requireHeld(t, n, v2, 1, 3)
	n.Approve("web")
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
}
