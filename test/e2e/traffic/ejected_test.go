package traffic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

const (
	ejectRate        = 50   // requests a second to each of the apps that are ejected at once
	unattended       = 1000 // requests while nobody is there
	unattendedWithin = 5.0  // percentage points
	afew             = 300  // requests where all go to one version
	setPods          = 5
)

// start makes an app, and sends requests to it.
func (p ejectedPhase) start(t *testing.T, kind gateway.Kind) *app {
	t.Helper()
	n := plane.Env.Namespace(t, slices.Concat(p.options, []harness.Option{harness.Steps(cmp.Or(p.steps, "20%"))})...)
	n.Unjudged() // eject owns fields for a moment
	switch {
	case p.set:
		n.CreateSet(builders.MakeStatefulSet("db").Replicas(setPods).Obj())
	case p.known:
		n.Create(builders.MakeDeployment("web").Replicas(replicas).Image(p.version()).Obj())
		n.SetImage("web", v1)
		n.WaitPhase("web", canary.Waiting, 1)
		n.Approve("web")
		n.WaitStable("web")
	default:
		n.Create(builders.MakeDeployment("web").Replicas(replicas).Image(v1).Obj())
	}
	plane.CreateService(t, n.Name, "web", map[string]string{"app": map[bool]string{true: "db", false: "web"}[p.set]})
	return serveAt(t, n, kind, plane.CreateRoute(t, kind, n.Name), ejectRate)
}

// version is the one that is released.
func (p ejectedPhase) version() string { return cmp.Or(p.image, v2) }

// end is the version that all pods run in the end.
func (p ejectedPhase) end() string {
	if p.reverted {
		return v1
	}
	return p.version()
}

// inForce returns when Traefik does what was stored.
func (p ejectedPhase) inForce(a *app) {
	a.t.Helper()
	if p.header != "" { // there are two rules then, and Traefik shows the weights of both
		a.matching(p.header, p.version())
		return
	}
	plane.AwaitCanaryWeight(a.t, a.Name, p.weight)
}

// unattended requires that requests are served as in this phase, with nobody there.
func (p ejectedPhase) unattended(a *app) {
	a.t.Helper()
	if p.native {
		require.False(a.t, harness.Complete(a.Deployment("web")), "the native rollout goes on")
		return // the share grows
	}
	answers := a.further(unattended)
	require.Empty(a.t, answers.Lost())
	share := 100 * float64(len(answers.Of(p.version()))) / float64(len(answers))
	a.t.Logf("with nobody there, %.1f %% of %d requests went to the new version, of which a phase gives it %.1f %%", share, len(answers), p.share())
	if p.share() == 0 || p.share() == 100 {
		require.Equal(a.t, p.share(), share)
	}
	require.InDelta(a.t, p.share(), share, unattendedWithin)
	if p.header != "" {
		a.matching(p.header, p.version())
	}
}

// share is the new version's of the requests, in percent: where they go to the Service itself, that of its pods.
func (p ejectedPhase) share() float64 {
	if p.shared {
		return 100 * 2.0 / (replicas + 2)
	}
	return p.weight
}

// further returns so many requests of the load that are sent from now on.
func (a *app) further(requests int) gateway.Answers {
	a.t.Helper()
	from := time.Now()
	var answers gateway.Answers
	a.Eventually(fmt.Sprintf("%d further requests are answered", requests), func(context.Context) error {
		if answers = a.load.Answers().Between(from, time.Now()); len(answers) < requests {
			return fmt.Errorf("there are %d", len(answers))
		}
		return nil
	})
	return answers
}

// onlyFurther requires that one version answers what is sent from now on.
func (a *app) onlyFurther(image string) {
	a.t.Helper()
	for _, answer := range a.further(afew) {
		require.Equal(a.t, image, answer.Image, "%s", answer)
	}
}

// eject ends the release as somebody does who has nothing but kubectl left.
func (p ejectedPhase) eject(a *app) {
	a.t.Helper()
	args := []string{"eject", p.workload(), "--yes", "--timeout=60s"}
	switch {
	case p.promote:
		args = append(args, "--promote")
	case !p.decided:
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
	if p.decided {
		return
	}
	if p.shared {
		a.settle(v1) // Kubernetes takes its time to take deleted pods out of the Service's endpoints
	}
	a.onlyFurther(v1)
	if p.header != "" {
		a.matching(p.header, v1)
	}
	p.resume(a)
}

// workload is its name for kubectl.
func (p ejectedPhase) workload() string {
	if p.set {
		return "statefulset/db"
	}
	return "deployment/web"
}

// resume rolls out natively what was left paused.
func (p ejectedPhase) resume(a *app) {
	a.t.Helper()
	if p.set {
		harness.Set{Namespace: a.Namespace}.StatePartition(0)
		return
	}
	a.Kubectl("rollout", "resume", p.workload())
}

// complete requires that all pods, and so all requests, are of one version.
func (p ejectedPhase) complete(a *app) {
	a.t.Helper()
	a.Kubectl("rollout", "status", p.workload(), "--timeout=2m")
	if p.set {
		harness.Set{Namespace: a.Namespace}.WaitImages(slices.Repeat([]string{p.end()}, setPods)...)
	} else {
		a.PodsOfEventually("web", p.end(), replicas)
	}
	a.settle(p.end())
	a.onlyFurther(p.end())
}
