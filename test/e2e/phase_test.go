package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
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
	// known: the new version ran before v1 and is in the Deployment's history, hence sequence C.
	known bool
	// reverting: v1 was applied again, so that it is what the spec says.
	reverting bool
}

// applied is the image in the spec.
func (p phase) applied() string {
	if p.reverting {
		return v1
	}
	return p.image
}

// goesBack tells the judge that v1 is applied next: the native rollout may be complete by now.
func (p phase) goesBack(n *harness.Namespace) {
	if p.promoted {
		n.Mark("web", watch.Native)
	}
}

func nothing() {}

func reachWaiting(_ *testing.T, n *harness.Namespace) func() {
	n.WaitPhase("web", canary.Waiting, 1)
	return nothing
}

// reachHeld approves and stops sluice right before the first write that matches.
func reachHeld(match func(harness.Write) bool) func(*testing.T, *harness.Namespace) func() {
	return reachAfter(func(n *harness.Namespace) { n.Approve("web") }, match)
}

func reachAfter(act func(*harness.Namespace), match func(harness.Write) bool) func(*testing.T, *harness.Namespace) func() {
	return func(t *testing.T, n *harness.Namespace) func() {
		t.Helper()
		n.WaitPhase("web", canary.Waiting, 1)
		reached, release := env.Proxy.Hold(n.Name, match)
		t.Cleanup(release) // where the test fails first
		act(n)
		select {
		case <-reached:
		case <-time.After(time.Minute):
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

func promotesByC(w harness.Write) bool {
	return finishes(w) && strings.Contains(w.Body, `\"sequence\":\"C\"`)
}

func deletesCanary(w harness.Write) bool {
	return w.Resource == "replicasets" && w.Method == http.MethodDelete
}

func endsRelease(w harness.Write) bool {
	return w.Resource == "deployments" && strings.Contains(w.Body, `"sluice.dev/release":null`)
}

// cleansUp matches what follows the native rollout: writes to ReplicaSets, then the end of the release.
func cleansUp() func(harness.Write) bool {
	unpaused := false
	return func(w harness.Write) bool {
		unpaused = unpaused || finishes(w)
		return unpaused && w.Resource == "replicasets" || endsRelease(w)
	}
}

// reachFinishing approves. The native rollout goes on, and the release does not end before the test lets it.
func reachFinishing(t *testing.T, n *harness.Namespace) func() {
	t.Helper()
	n.WaitPhase("web", canary.Waiting, 1)
	_, release := env.Proxy.Hold(n.Name, cleansUp())
	t.Cleanup(release)
	n.Approve("web")
	n.WaitDeployment("web", "the native rollout goes on", finishing)
	return release
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
		"while Promoting, after the unpause":  {image: "example/late-2s:v2", promoted: true, reach: reachFinishing},
		"promoting by C, before the unpause":  {image: v2, known: true, reach: reachHeld(promotesByC)},
		"promoting by C, after the unpause":   {image: "example/late-2s:v2", known: true, promoted: true, reach: reachFinishing},
		"while Reverting, before the canary is deleted": {image: v2, reverting: true,
			reach: reachAfter(func(n *harness.Namespace) { n.SetImage("web", v1) }, deletesCanary)},
		"when Aborted": {image: v2, reach: func(_ *testing.T, n *harness.Namespace) func() {
			n.WaitPhase("web", canary.Waiting, 1)
			n.Abort("web")
			n.PodsOfEventually("web", v2, 0)
			return nothing
		}},
	}
}

// create leaves four pods of v1.
func (p phase) create(t *testing.T, n *harness.Namespace) {
	t.Helper()
	d := web().Replicas(4).RollingUpdate("1", "0")
	if !p.known {
		n.Create(d.Obj())
		return
	}
	n.Create(d.Image(p.image).Obj())
	n.SetImage("web", v1)
	requireHeld(t, n, v1, 1, 4)
	n.Approve("web")
	n.WaitStable("web")
}

// inEveryPhase runs do in a namespace where web goes from v1 to a new version, in each phase.
func inEveryPhase(t *testing.T, do func(t *testing.T, n *harness.Namespace, p phase, proceed func())) {
	t.Helper()
	inPhases(t, phases(), do)
}

// inPhases is inEveryPhase for some of them.
func inPhases(t *testing.T, phases map[string]phase, do func(t *testing.T, n *harness.Namespace, p phase, proceed func())) {
	t.Helper()
	for name, p := range phases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			p.create(t, n)
			n.SetImage("web", p.image)
			do(t, n, p, p.reach(t, n))
		})
	}
}
