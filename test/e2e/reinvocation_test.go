package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/test/e2e/harness"
)

// dryRun puts a file as a dry run and returns what would be stored.
func dryRun(t *testing.T, n *harness.Namespace, file string) *appsv1.Deployment {
	t.Helper()
	var d appsv1.Deployment
	require.NoError(t, json.Unmarshal([]byte(n.Kubectl("replace", "-f", file, "--dry-run=server", "-o", "json").Stdout), &d))
	return &d
}

// TestAWebhookThatChangesTheTemplateAfterSluice has sluice called twice for one write.
func TestAWebhookThatChangesTheTemplateAfterSluice(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Inject(harness.Sidecar)
	file := func(image string) string { return n.Manifest(web().Image(image).Obj()) }
	n.Create(web().Obj())

	n.Replace(file(v1)) // without the sidecar, which is added again
	require.Nil(t, n.Release("web"))
	require.False(t, n.Deployment("web").Spec.Paused)

	n.Quiet("web")
	require.Equal(t, dryRun(t, n, file(v2)).Annotations, dryRun(t, n, file(v2)).Annotations)
	n.Replace(file(v2))
	require.Contains(t, n.Reviewed(), harness.Review{Verb: "update", User: "alice", Called: true, Again: true})
	release := requireHeld(t, n, v2, 1, 3)
	for _, pod := range n.LivePods(t.Context(), "web") {
		require.Len(t, pod.Spec.Containers, 2, "%s has the sidecar", pod.Name)
	}
	n.Replace(file(v2))
	require.Equal(t, release, n.Release("web"), "the same file again changes nothing")
	require.True(t, n.Deployment("web").Spec.Paused)

	n.Replace(file(v3))
	requireHeld(t, n, v3, 1, 3)
	n.PodsOfEventually("web", v2, 0)
	require.Len(t, canaryReplicaSets(n), 1)
	n.Replace(file(v1))
	require.False(t, n.WaitStable("web").Spec.Paused)
	n.Replace(file(v2))
	requireHeld(t, n, v2, 1, 3)
	n.Approve("web")
	require.False(t, n.WaitStable("web").Spec.Paused)
	require.Equal(t, 4, replicaSetsMade(n.Recorded()), "v1's, and one for each release")
}

func TestAWebhookThatUnpausesAfterSluice(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Inject(func([]byte) string { return `[{"op":"add","path":"/spec/paused","value":false}]` })
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Approve("web")
	n.WaitStable("web")
}
