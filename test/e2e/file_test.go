package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// file is web of an image as it stands in a file: without anything that is sluice's.
func file(n *harness.Namespace, image string) string {
	return n.Manifest(web().Replicas(4).RollingUpdate("1", "0").Image(image).Obj())
}

// TestAThirdVersionPutFromAFileInEveryPhase is held, is aborted, and what was stable comes back by its file.
func TestAThirdVersionPutFromAFileInEveryPhase(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		before, stable := n.Release("web"), v1
		if p.promoted {
			stable = p.image
		}
		n.Replace(file(n, v3))
		require.Greater(t, n.Release("web").ID, before.ID)
		require.True(t, n.Deployment("web").Spec.Paused)
		proceed()
		n.WaitPhase("web", canary.Waiting, 1)
		n.PodsOfEventually("web", v3, 1)
		n.Abort("web")
		n.PodsOfEventually("web", v3, 0)
		n.WaitPhase("web", canary.Aborted, 1)
		require.Contains(t, n.Replace(file(n, stable)).Stderr, "is back at its stable version")
		d := n.WaitStable("web")
		require.Equal(t, map[string]int{stable: 4}, podImages(n.LivePods(t.Context(), "web")))
		require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
		require.False(t, d.Spec.Paused)
		if !p.promoted && !p.known {
			require.Equal(t, 4, created(n.Recorded(), v1), "no stable pod was touched")
		}
	})
}

func TestTheOldVersionPutFromAFileInEveryPhaseReverts(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		stable := n.PodsOf("web", v1)
		p.goesBack(n)
		n.Replace(file(n, v1))
		proceed()
		d := n.WaitStable("web")
		require.Equal(t, map[string]int{v1: 4}, podImages(n.LivePods(t.Context(), "web")))
		if !p.promoted {
			require.Equal(t, stable, n.PodsOf("web", v1), "no stable pod was touched")
		}
		require.False(t, d.Spec.Paused)
		require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
	})
}
