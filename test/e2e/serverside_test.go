package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestServerSideApplyThatStatesWhatSluiceSetsHasNoConflictInAnyPhase: the file states `paused: false` and a
// maxSurge, and nobody forces anything.
func TestServerSideApplyThatStatesWhatSluiceSetsHasNoConflictInAnyPhase(t *testing.T) {
	t.Parallel()
	for name, p := range phases() {
		if p.known || p.reverting {
			continue // reached by other clients' writes, whose fields would be in conflict without sluice too
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			apply := func(image string) harness.Result {
				return n.Kubectl("apply", "--server-side", "-f", n.Manifest(stating(t, image)))
			}
			apply(v1)
			n.WaitStable("web")
			apply(p.image)
			proceed := p.reach(t, n)
			before := n.Release("web")
			apply(p.image)
			require.Equal(t, before.ID, n.Release("web").ID)
			require.Equal(t, before.Approvals, n.Release("web").Approvals)
			require.Equal(t, before.Holds(), n.Deployment("web").Spec.Paused)
			apply(v3)
			proceed()
			n.WaitPhase("web", canary.Waiting, 1)
			n.PodsOfEventually("web", v3, 1)
			n.Approve("web")
			d := n.WaitStable("web")
			require.Equal(t, map[string]int{v3: 4}, podImages(n.LivePods(t.Context(), "web")))
			require.False(t, d.Spec.Paused)
			require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())

			apply(v2)
			requireHeld(t, n, v2, 1, 4)
			apply(v3)
			d = n.WaitStable("web")
			require.False(t, d.Spec.Paused)
			require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
			n.Quiet("web")
		})
	}
}

// stating is web with `paused: false`, which the Go types can't say.
func stating(t *testing.T, image string) map[string]any {
	t.Helper()
	raw, err := json.Marshal(web().Replicas(4).RollingUpdate("1", "0").Image(image).Obj())
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(raw, &object))
	object["spec"].(map[string]any)["paused"] = false
	return object
}
