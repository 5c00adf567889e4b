package eject

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// web is the Deployment of these tests: four pods of v1.
func web() *builders.DeploymentBuilder {
	return builders.MakeDeployment("web").Replicas(4).RollingUpdate("50%", "0")
}

// deploymentPhase is a point in the life of a release of four pods at which sluice dies. Between the
// controller's writes it is reached by refusing the next one.
type deploymentPhase struct {
	image string
	reach func(t *testing.T, n *harness.Namespace)
	// known: the new version ran before v1, hence sequence C.
	known bool
	// endings are the flags that may be given; empty: none.
	endings []canary.Ending
	// decided is how it ends without a flag.
	decided canary.Ending
	// native: pods of the stable version are replaced already.
	native bool
	// steps of the release; empty: one of 20 %.
	steps string
}

var (
	anyEnding  = []canary.Ending{canary.EndPromoted, canary.EndReverted, canary.EndPaused}
	noneOrBack = []canary.Ending{"", canary.EndReverted}
)

// stopAt acts, and keeps sluice from making the writes that match: it tries, and comes no further.
func stopAt(t *testing.T, n *harness.Namespace, match func(harness.Write) bool, act func()) {
	t.Helper()
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	env.Proxy.Interfere(n.Name, func(w harness.Write) harness.Fault {
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
		require.Fail(t, "sluice never came to the write that the test waits for")
	}
}

func waiting(n *harness.Namespace) { n.WaitPhase("web", canary.Waiting, 1) }

func afterApproval(match func(harness.Write) bool) func(*testing.T, *harness.Namespace) {
	return func(t *testing.T, n *harness.Namespace) {
		t.Helper()
		waiting(n)
		stopAt(t, n, match, func() { n.Approve("web") })
	}
}

func writes(resource, text string) func(harness.Write) bool {
	return func(w harness.Write) bool { return w.Resource == resource && strings.Contains(w.Body, text) }
}

// cleansUp matches what sluice does once the native rollout is complete.
func cleansUp(w harness.Write) bool {
	return (w.Resource == "replicasets" && w.Method == http.MethodDelete) || writes("deployments", `"sluice.dev/release":null`)(w)
}

// finishing: the native rollout is under way, or over already where the machine is quick.
func finishing(_ *testing.T, n *harness.Namespace) {
	waiting(n)
	env.Proxy.Interfere(n.Name, func(w harness.Write) harness.Fault {
		if cleansUp(w) {
			return harness.Internal
		}
		return harness.Pass
	})
	n.Approve("web")
	n.WaitDeployment("web", "the native rollout goes on", func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Stage == canary.Finishing && !d.Spec.Paused
	})
}

func deploymentPhases() map[string]deploymentPhase {
	return map[string]deploymentPhase{
		"Progressing": {image: unready, endings: anyEnding, reach: func(_ *testing.T, n *harness.Namespace) {
			n.PodsOfEventually("web", unready, 1)
		}},
		"Waiting": {image: v2, endings: anyEnding, reach: func(_ *testing.T, n *harness.Namespace) {
			waiting(n)
		}},
		"approved": {image: v2, endings: anyEnding[1:2], reach: afterApproval(writes("deployments", "Adopting"))},
		"Promoting, before the relabel": {image: v2, decided: canary.EndPromoted, endings: noneOrBack,
			reach: afterApproval(writes("replicasets", "deployment.kubernetes.io/max-replicas"))},
		"Promoting, before the unpause": {image: v2, decided: canary.EndPromoted, endings: noneOrBack,
			reach: afterApproval(writes("deployments", "Finishing"))},
		"Promoting a canary of full size, before the unpause": {image: v2, decided: canary.EndPromoted, endings: noneOrBack, native: true,
			steps: "100%/100%", reach: afterApproval(writes("deployments", "Finishing"))},
		"Promoting, after the unpause": {image: late, decided: canary.EndPromoted, endings: noneOrBack, native: true, reach: finishing},
		"Promoting by C, before the unpause": {image: v2, known: true, endings: anyEnding[:1],
			reach: afterApproval(writes("deployments", `\"sequence\":\"C\"`))},
		"Promoting by C, after the unpause": {image: late, known: true, decided: canary.EndPromoted, endings: noneOrBack, native: true, reach: finishing},
		"Reverting": {image: v2, decided: canary.EndReverted, endings: []canary.Ending{""},
			reach: func(t *testing.T, n *harness.Namespace) {
				t.Helper()
				waiting(n)
				stopAt(t, n, func(w harness.Write) bool { return w.Resource == "replicasets" && w.Method == http.MethodDelete },
					func() { n.SetImage("web", v1) })
			}},
		"Aborted": {image: v2, endings: anyEnding, reach: func(_ *testing.T, n *harness.Namespace) {
			waiting(n)
			n.Abort("web")
			n.PodsOfEventually("web", v2, 0)
		}},
	}
}

func (p deploymentPhase) create(t *testing.T, n *harness.Namespace) {
	t.Helper()
	if !p.known {
		n.Create(web().Obj())
		return
	}
	n.Create(web().Image(p.image).Obj())
	n.SetImage("web", v1)
	waiting(n)
	n.Approve("web")
	n.WaitStable("web")
}

// flags of a way.
func flags(ending canary.Ending) []string {
	if ending == "" {
		return nil
	}
	return []string{"--" + string(ending)}
}

func TestADeploymentInEveryPhaseIsEjectedWithSluiceDead(t *testing.T) {
	var scenarios []scenario
	for name, p := range deploymentPhases() {
		for _, ending := range p.endings {
			scenarios = append(scenarios, scenario{strings.TrimSpace(name + " " + string(ending)), func(t *testing.T) func() {
				t.Helper()
				n := env.Namespace(t, harness.Steps(cmp.Or(p.steps, "20%")))
				n.Unjudged()
				p.create(t, n)
				stable := n.PodsOf("web", v1)
				n.SetImage("web", p.image)
				p.reach(t, n)
				return func() { p.eject(t, n, ending, stable) }
			}})
		}
	}
	whileDead(t, scenarios)
}

func (p deploymentPhase) eject(t *testing.T, n *harness.Namespace, ending canary.Ending, stable []string) {
	t.Helper()
	way := ending
	if way == "" {
		way = p.decided
	}
	switch way {
	case canary.EndPromoted:
		n.Mark("web", watch.ApprovedFull)
	case canary.EndPaused:
		n.Mark("web", watch.Paused)
	case canary.EndReverted:
		if p.native {
			n.Mark("web", watch.Native) // the old version may be a new one by now
		}
	}
	t.Log(ejected(t, n, append([]string{"deploy/web"}, flags(ending)...)...))
	requireNothingMarked(t, n)
	d := n.Deployment("web")
	requirePlain(t, d, true)
	require.Equal(t, "50%", d.Spec.Strategy.RollingUpdate.MaxSurge.String(), "the user's own maxSurge")
	require.Equal(t, way == canary.EndPaused, d.Spec.Paused)
	switch way {
	case canary.EndPromoted:
		p.rollsOut(n)
	case canary.EndPaused:
		require.Equal(t, stable, n.PodsOf("web", v1))
		n.PodsOfEventually("web", p.image, 0)
		n.Mark("web", watch.Approved)
		n.Mark("web", watch.Unpaused)
		n.Kubectl("rollout", "resume", "deployment/web")
		p.rollsOut(n)
	case canary.EndReverted:
		n.WaitStable("web")
		if !p.native {
			require.Equal(t, stable, n.PodsOf("web", v1), "no stable pod was touched")
		}
		n.PodsOfEventually("web", v1, 4)
	}
	judge(t, n)
}

// rollsOut requires that the native controller rolls the new version out, as far as it goes.
func (p deploymentPhase) rollsOut(n *harness.Namespace) {
	if p.image == unready {
		n.PodsOfEventually("web", unready, 2) // what maxSurge allows
		n.PodsOfEventually("web", v1, 4)
		return
	}
	n.WaitStable("web")
	n.PodsOfEventually("web", p.image, 4)
}
