package traffic

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// ejectedPhase is a point in a release at which sluice dies for good, unless it is alive, and kubectl sluice eject
// comes.
type ejectedPhase struct {
	reach func(a *app)
	// decided: how the release ends was decided, so that nobody says it. Alive: sluice lives on.
	decided, alive bool
}

// TestNoRequestIsLostByAnEject, nor by the native rollout of what was held. A version that is left
// paused gets no more requests until then.
func TestNoRequestIsLostByAnEject(t *testing.T) {
	require.NoError(t, plane.Env.BuildPlugin())
	for name, phase := range map[string]ejectedPhase{
		"Progressing with weight 0": {reach: func(a *app) {
			a.stopAt(func(w harness.Write) bool { return strings.Contains(w.Body, `\"weight\":20`) }, func() { a.SetImage("web", v2) })
			a.PodsOfEventually("web", v2, 2)
		}},
		"Waiting at 20 %": {reach: func(a *app) {
			a.hold(v2)
			plane.AwaitCanaryWeight(a.t, a.Name, 20)
		}},
		"Waiting at 20 %, with sluice alive": {alive: true, reach: func(a *app) {
			a.hold(v2)
			plane.AwaitCanaryWeight(a.t, a.Name, 20)
		}},
		"Promoting, before the unpause": {decided: true, reach: func(a *app) {
			a.hold(v2)
			a.stopAt(func(w harness.Write) bool {
				return w.Resource == "deployments" && strings.Contains(w.Body, "Finishing")
			}, func() { a.Approve("web") })
		}},
		"Aborted": {reach: func(a *app) {
			a.hold(v2)
			a.Abort("web")
			a.WaitPhase("web", canary.Aborted, 1)
			a.PodsOfEventually("web", v2, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() {
				if phase.alive {
					return
				}
				_, err := plane.Env.StartSluice(context.WithoutCancel(t.Context()))
				require.NoError(t, err)
			})
			var apps []*app
			for _, kind := range gateway.Kinds {
				a := start(t, kind, "20%")
				a.Unjudged() // eject owns fields for a moment
				phase.reach(a)
				apps = append(apps, a)
			}
			if !phase.alive {
				plane.Env.Sluice().Kill()
			}
			for _, a := range apps {
				a.eject(phase)
			}
			for _, a := range apps {
				a.settle(v2)
				a.only(v2)
				t.Log(a.kind.Name)
				a.nothingLost()
			}
		})
	}
}

// stopAt acts, and keeps sluice from making the writes that match: it tries, and comes no further.
func (a *app) stopAt(match func(harness.Write) bool, act func()) {
	a.t.Helper()
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	plane.Env.Proxy.Interfere(a.Name, func(w harness.Write) harness.Fault {
		if !match(w) {
			return harness.Pass
		}
		once()
		return harness.Internal
	})
	act()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		require.Fail(a.t, "sluice never came to the write that the test waits for")
	}
}

// eject ends the release as somebody does who has nothing but kubectl left.
func (a *app) eject(phase ejectedPhase) {
	a.t.Helper()
	args := []string{"eject", "deploy/web", "--yes", "--timeout=60s"}
	if !phase.decided {
		args = append(args, "--leave-paused")
	}
	r := a.Plugin("admin", args...)
	a.t.Log(r)
	require.Zero(a.t, r.Code)
	a.gone()
	route := plane.ReadRoute(a.t, a.kind, a.Name)
	require.NoError(a.t, same(a.original, route))
	for _, entry := range route.GetManagedFields() {
		require.NotEqual(a.t, canary.EjectManager, entry.Manager)
	}
	if !phase.decided {
		a.only(v1)
		a.Kubectl("rollout", "resume", "deployment/web")
	}
	a.Kubectl("rollout", "status", "deployment/web", "--timeout=2m")
	a.PodsOfEventually("web", v2, replicas)
}
