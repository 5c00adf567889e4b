package e2e

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// TestWhatIsStatedDuringAReleaseIsInForceAfterItsPromotion: a maxSurge, which sluice may be pinning, or a
// pause, which sluice has set as well.
func TestWhatIsStatedDuringAReleaseIsInForceAfterItsPromotion(t *testing.T) {
	t.Parallel()
	wished := func(n *harness.Namespace, image string) string {
		return n.Manifest(web().Replicas(4).RollingUpdate("50%", "0").Paused().Image(image).Obj())
	}
	for name, state := range map[string]func(n *harness.Namespace, image string){
		"kubectl apply": func(n *harness.Namespace, image string) { n.Kubectl("apply", "-f", wished(n, image)) },
		"kubectl apply --server-side": func(n *harness.Namespace, image string) {
			n.Kubectl("apply", "--server-side", "--force-conflicts", "-f", wished(n, image))
		},
		"kubectl replace": func(n *harness.Namespace, image string) { n.Replace(wished(n, image)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inPhases(t, promotable(), func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
				r := n.Release("web")
				n.Mark("web", watch.Surge, "50%")
				n.Mark("web", watch.Paused)
				state(n, p.image)
				require.Equal(t, r.ID, n.Release("web").ID)
				proceed()
				if len(r.Approvals) == 0 {
					n.Approve("web")
				}
				d := n.WaitStable("web")
				require.Equal(t, map[string]int{p.image: 4}, podImages(n.LivePods(t.Context(), "web")))
				require.Equal(t, "50%", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
				require.True(t, d.Spec.Paused, "the user's own pause")
				n.Quiet("web")
			})
		})
	}
}

// promotable are the phases of an available version that takes no stable pod's place yet.
func promotable() map[string]phase {
	phases := phases()
	maps.DeleteFunc(phases, func(name string, p phase) bool {
		return p.promoted || p.reverting || name == "while Progressing" || name == "when Aborted"
	})
	return phases
}

// TestRecreateTogetherWithANewImageIsPromoted: the strategy is the user's from then on.
func TestRecreateTogetherWithANewImageIsPromoted(t *testing.T) {
	t.Parallel()
	both := `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","image":"` + v2 + `"}]}}}}`
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Kubectl("patch", "deployment/web", "-p", both)
	requireHeld(t, n, v2, 1, 3)
	n.Mark("web", watch.Disturbed) // Recreate takes every stable pod away
	n.Approve("web")
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
	require.EqualValues(t, "Recreate", n.Deployment("web").Spec.Strategy.Type)
	n.Mark("web", watch.Native)
	require.Contains(t, n.SetImage("web", v3).Stderr, "rolls out natively, without a canary: its strategy is Recreate")
}
