package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAThirdVersionInEveryPhaseIsHeldAsOneRelease(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		n.SetImage("web", v3)
		proceed()
		release := n.WaitPhase("web", canary.Waiting, 1)
		require.True(t, n.Deployment("web").Spec.Paused)
		n.PodsOfEventually("web", v3, 1)
		if !p.promoted {
			n.PodsOfEventually("web", p.image, 0)
			n.PodsOfEventually("web", v1, 4)
			require.Equal(t, 4, created(n.Recorded(), v1), "no stable pod was touched")
		}
		require.Len(t, canaryReplicaSets(n), 1, "one release, one canary")
		require.Equal(t, "1", n.Deployment("web").Spec.Strategy.RollingUpdate.MaxSurge.String(), "the user's own maxSurge")
		require.Zero(t, release.Surge)
		n.Approve("web")
		n.WaitStable("web")
		require.Equal(t, map[string]int{v3: 4}, podImages(n.LivePods(t.Context(), "web")))
		n.Quiet("web")
	})
}

func TestTheOldVersionInEveryPhaseReverts(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		stable := n.PodsOf("web", v1)
		p.goesBack(n)
		n.SetImage("web", v1)
		proceed()
		d := n.WaitStable("web")
		require.Equal(t, map[string]int{v1: 4}, podImages(n.LivePods(t.Context(), "web")))
		if !p.promoted {
			require.Equal(t, stable, n.PodsOf("web", v1))
			require.Len(t, n.ReplicaSets("web"), map[bool]int{false: 1, true: 2}[p.known])
		}
		require.False(t, d.Spec.Paused)
		require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
		n.Quiet("web")
	})
}

func TestTheSameFilePutInEveryPhaseChangesNothing(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		before := n.Release("web")
		file := n.Manifest(web().Replicas(4).RollingUpdate("1", "0").Image(p.applied()).Obj())
		n.Replace(file)
		after := n.Release("web")
		require.NotNil(t, after)
		require.Equal(t, before.ID, after.ID)
		require.Equal(t, before.Approvals, after.Approvals)
		proceed()
		switch before.Phase {
		case canary.Promoting, canary.Reverting:
			n.WaitStable("web")
		case canary.Waiting:
			if len(before.Approvals) > 0 {
				n.WaitStable("web")
				break
			}
			n.Approve("web")
			n.WaitStable("web")
		case canary.Progressing, canary.Aborted: // not available, or given up: it stays
			n.Quiet("web")
			require.Equal(t, before.Phase, n.Release("web").Phase)
			require.True(t, n.Deployment("web").Spec.Paused)
			return
		}
		d := n.Deployment("web")
		require.False(t, d.Spec.Paused)
		require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
		require.Equal(t, map[string]int{p.applied(): 4}, podImages(n.LivePods(t.Context(), "web")))
	})
}

// TestReplicasChangedInEveryPhase: to fewer in each, to more in those from which the version is promoted.
func TestReplicasChangedInEveryPhase(t *testing.T) {
	t.Parallel()
	for to, phases := range map[int]map[string]phase{2: phases(), 7: promotable()} {
		t.Run(fmt.Sprintf("from 4 to %d", to), func(t *testing.T) {
			inPhases(t, phases, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
				n.Kubectl("scale", "deployment/web", fmt.Sprintf("--replicas=%d", to))
				proceed()
				release := n.Release("web")
				if release != nil && (release.Phase == canary.Aborted || p.image == "example/unready:v2") {
					n.PodsOfEventually("web", v1, to)
					require.True(t, n.Deployment("web").Spec.Paused)
					return
				}
				if !p.reverting && !wasApproved(n) {
					n.PodsOfEventually("web", v1, to)
					n.PodsOfEventually("web", p.image, (to+4)/5) // 20 %
					n.WaitPhase("web", canary.Waiting, 1)
					n.Approve("web")
				}
				n.WaitStable("web")
				require.Equal(t, map[string]int{p.applied(): to}, podImages(n.LivePods(t.Context(), "web")))
				require.Equal(t, "1", n.Deployment("web").Spec.Strategy.RollingUpdate.MaxSurge.String())
			})
		})
	}
}

func TestAMaxSurgeOfTheUsersInEveryPhaseIsInForceAfterwards(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		n.Mark("web", watch.Surge, "50%")
		n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"strategy":{"rollingUpdate":{"maxSurge":"50%"}}}}`)
		p.goesBack(n)
		n.SetImage("web", v1)
		proceed()
		d := n.WaitStable("web")
		require.Equal(t, "50%", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
		require.False(t, d.Spec.Paused)
	})
}

func TestTheStrategyCannotChangeInAnyPhase(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, _ phase, proceed func()) {
		defer proceed()
		n.Refused("alice", []string{"the strategy of deployment/web cannot change while release", "apply the old version first"},
			"kubectl", "patch", "deployment/web", "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}`)
	})
}
