package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// phase is a point in the life of a release of four pods, at which a test does something. Between the
// controller's writes it is reached by holding the next one on its way to the API server: so whatever
// the test does, a write that was decided before it is still to come.
type phase struct {
	image string // of the new version
	// reach returns what lets sluice go on.
	reach func(t *testing.T, n *harness.Namespace) func()
	// promoted: the new version is the stable one for what comes after.
	promoted bool
}

func nothing() {}

func reachWaiting(_ *testing.T, n *harness.Namespace) func() {
	n.WaitPhase("web", canary.Waiting, 1)
	return nothing
}

// reachHeld approves and stops sluice right before the first write that matches.
func reachHeld(match func(harness.Write) bool) func(*testing.T, *harness.Namespace) func() {
	return func(t *testing.T, n *harness.Namespace) func() {
		t.Helper()
		n.WaitPhase("web", canary.Waiting, 1)
		reached, release := env.Proxy.Hold(n.Name, match)
		n.Approve("web")
		select {
		case <-reached:
		case <-time.After(time.Minute):
			release()
			require.Fail(t, "sluice never came to the write that the test waits for")
		}
		return release
	}
}

func adopts(w harness.Write) bool {
	return w.Resource == "replicasets" && strings.Contains(w.Body, "deployment.kubernetes.io/max-replicas")
}

func finishes(w harness.Write) bool {
	return w.Resource == "deployments" && strings.Contains(w.Body, "Finishing")
}

func startsPromoting(w harness.Write) bool {
	return w.Resource == "deployments" && strings.Contains(w.Body, "Adopting")
}

func phases() map[string]phase {
	return map[string]phase{
		"while Progressing": {image: "example/unready:v2", reach: func(_ *testing.T, n *harness.Namespace) func() {
			n.PodsOfEventually("web", "example/unready:v2", 1)
			return nothing
		}},
		"while Waiting":                       {image: v2, reach: reachWaiting},
		"when approved":                       {image: v2, reach: reachHeld(startsPromoting)},
		"while Promoting, before the relabel": {image: v2, reach: reachHeld(adopts)},
		"while Promoting, before the unpause": {image: v2, reach: reachHeld(finishes)},
		"while Promoting, after the unpause": {image: "example/late-2s:v2", promoted: true, reach: func(t *testing.T, n *harness.Namespace) func() {
			n.WaitPhase("web", canary.Waiting, 1)
			n.Approve("web")
			n.WaitDeployment("web", "the native rollout goes on", finishing)
			return nothing
		}},
		"when Aborted": {image: v2, reach: func(_ *testing.T, n *harness.Namespace) func() {
			n.WaitPhase("web", canary.Waiting, 1)
			n.Abort("web")
			n.PodsOfEventually("web", v2, 0)
			return nothing
		}},
	}
}

// inEveryPhase runs do in a namespace where web goes from v1 to a new version, in each phase.
func inEveryPhase(t *testing.T, do func(t *testing.T, n *harness.Namespace, p phase, proceed func())) {
	for name, p := range phases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Replicas(4).RollingUpdate("1", "0").Obj())
			n.SetImage("web", p.image)
			do(t, n, p, p.reach(t, n))
		})
	}
}

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
		n.SetImage("web", v1)
		proceed()
		d := n.WaitStable("web")
		require.Equal(t, map[string]int{v1: 4}, podImages(n.LivePods(t.Context(), "web")))
		if !p.promoted {
			require.Equal(t, stable, n.PodsOf("web", v1))
			require.Len(t, n.ReplicaSets("web"), 1)
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
		file := n.Manifest(web().Replicas(4).RollingUpdate("1", "0").Image(p.image).Obj())
		n.Replace(file)
		after := n.Release("web")
		require.NotNil(t, after)
		require.Equal(t, before.ID, after.ID)
		require.Equal(t, before.Approvals, after.Approvals)
		proceed()
		switch before.Phase {
		case canary.Promoting:
			n.WaitStable("web")
		case canary.Waiting:
			if len(before.Approvals) > 0 {
				n.WaitStable("web")
				break
			}
			n.Approve("web")
			n.WaitStable("web")
		default: // not available, or aborted: it stays
			n.Quiet("web")
			require.Equal(t, before.Phase, n.Release("web").Phase)
			require.True(t, n.Deployment("web").Spec.Paused)
			return
		}
		d := n.Deployment("web")
		require.False(t, d.Spec.Paused)
		require.Equal(t, "1", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
		require.Equal(t, map[string]int{p.image: 4}, podImages(n.LivePods(t.Context(), "web")))
	})
}

func TestReplicasChangedInEveryPhase(t *testing.T) {
	t.Parallel()
	for _, to := range []int{2, 7} {
		t.Run(fmt.Sprintf("from 4 to %d", to), func(t *testing.T) {
			inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
				n.Kubectl("scale", "deployment/web", fmt.Sprintf("--replicas=%d", to))
				proceed()
				release := n.Release("web")
				if release != nil && (release.Phase == canary.Aborted || p.image == "example/unready:v2") {
					n.PodsOfEventually("web", v1, to)
					require.True(t, n.Deployment("web").Spec.Paused)
					return
				}
				if !wasApproved(n) {
					n.PodsOfEventually("web", v1, to)
					n.PodsOfEventually("web", p.image, (to+4)/5) // 20 %
					n.WaitPhase("web", canary.Waiting, 1)
					n.Approve("web")
				}
				n.WaitStable("web")
				require.Equal(t, map[string]int{p.image: to}, podImages(n.LivePods(t.Context(), "web")))
				require.Equal(t, "1", n.Deployment("web").Spec.Strategy.RollingUpdate.MaxSurge.String())
			})
		})
	}
}

func TestAMaxSurgeOfTheUsersInEveryPhaseIsInForceAfterwards(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"strategy":{"rollingUpdate":{"maxSurge":"50%"}}}}`)
		proceed()
		n.SetImage("web", v1)
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
