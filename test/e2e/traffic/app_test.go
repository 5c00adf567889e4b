package traffic

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

const (
	replicas = 10
	rate     = 200    // requests a second
	sample   = 10_000 // requests, where it is about the share
	few      = 2000   // where it is about something else
	within   = 1.0    // percentage point
)

// app is a Deployment "web" of ten pods with a Service and a route, and two hundred requests a second to it.
type app struct {
	*harness.Namespace
	t        *testing.T
	kind     gateway.Kind
	rate     int // of the load, in requests a second
	load     *gateway.Load
	original *unstructured.Unstructured
	routes   *routes
}

// each runs a test for each kind of route, side by side.
func each(t *testing.T, test func(t *testing.T, kind gateway.Kind)) {
	for _, kind := range gateway.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// start makes an app of v1 whose releases have these steps.
func start(t *testing.T, kind gateway.Kind, steps string, options ...harness.Option) *app {
	t.Helper()
	return startAt(t, kind, steps, rate, options...)
}

// startAt is start with so many requests a second.
func startAt(t *testing.T, kind gateway.Kind, steps string, rate int, options ...harness.Option) *app {
	t.Helper()
	n := plane.Env.Namespace(t, append(options, harness.Steps(steps))...)
	n.Create(builders.MakeDeployment("web").Replicas(replicas).Image(v1).Obj())
	plane.CreateService(t, n.Name, "web", map[string]string{"app": "web"})
	return serveAt(t, n, kind, plane.CreateRoute(t, kind, n.Name), rate)
}

// serve begins with the requests to a route.
func serve(t *testing.T, n *harness.Namespace, kind gateway.Kind, route *unstructured.Unstructured) *app {
	t.Helper()
	return serveAt(t, n, kind, route, rate)
}

func serveAt(t *testing.T, n *harness.Namespace, kind gateway.Kind, route *unstructured.Unstructured, rate int) *app {
	t.Helper()
	return &app{
		Namespace: n, t: t, kind: kind, rate: rate, original: route, routes: watchRoutes(t, kind, n.Name),
		load: plane.Load(t, gateway.Host(n.Name), rate),
	}
}

// hold changes the image and returns when the first step waits for its approval.
func (a *app) hold(image string) {
	a.t.Helper()
	a.SetImage("web", image)
	a.WaitPhase("web", canary.Waiting, 1)
}

// next approves a step and returns when the following one waits.
func (a *app) next(step int) {
	a.t.Helper()
	a.Approve("web")
	a.WaitPhase("web", canary.Waiting, step)
}

// share requires that requests are shared as a step says.
func (a *app) share(image string, percent float64, requests int) {
	a.t.Helper()
	a.measured(image, percent, requests)
}

// measured is share, and returns what the version got, in percent: of these requests and of those of the load meanwhile,
// since Traefik counts them together.
func (a *app) measured(image string, percent float64, requests int) float64 {
	a.t.Helper()
	took := plane.AwaitCanaryWeight(a.t, a.Name, percent)
	answers := plane.Burst(a.t, gateway.Host(a.Name), requests)
	require.Empty(a.t, answers.Lost())
	answers = append(answers, a.load.Answers().Between(answers[0].At, time.Now())...)
	got := answers.Shares()[image]
	require.InDelta(a.t, percent, got, within, "%s of %d requests", image, len(answers))
	a.t.Logf("%g %%: %.2f %% of %d requests went to %s; the gateway had it %s after the step waited", percent, got, len(answers), image, took.Round(time.Millisecond))
	return got
}

// only requires that from now on one version answers, as long as it takes to see that.
func (a *app) only(image string) {
	a.t.Helper()
	answers := plane.Burst(a.t, gateway.Host(a.Name), few)
	require.Empty(a.t, answers.Lost())
	for _, answer := range answers {
		require.Equal(a.t, image, answer.Image, "%s", answer)
	}
}

// back requires that all requests go to one version again. The canary's pods may be gone before the gateway acts on
// what it has accepted: they still serve.
func (a *app) back(image string) {
	a.t.Helper()
	plane.AwaitCanaryWeight(a.t, a.Name, 0)
	a.only(image)
}

// promoted requires that nothing is left of a release and, once the old pods are not known as ready any more, that all
// requests go to the new version: until then Kubernetes gives them some in any rolling update.
func (a *app) promoted(image string) {
	a.t.Helper()
	a.restored()
	a.settle(image)
	a.only(image)
}

// settle returns when two hundred answers in a row came from one version.
func (a *app) settle(image string) {
	a.t.Helper()
	inARow := 0
	plane.Await(a.t, gateway.Host(a.Name), "only "+image+" answers", func(answer gateway.Answer) bool {
		if inARow++; answer.Image != image {
			inARow = 0
		}
		return inARow == 200
	})
}

// restored requires that nothing is left of a release: the route is byte for byte what it was.
func (a *app) restored() {
	a.t.Helper()
	a.WaitStable("web")
	a.givenBack()
}

// givenBack requires that the route is byte for byte what it was, and that what sluice made is no more.
func (a *app) givenBack() {
	a.t.Helper()
	a.Eventually("the route is what it was", func(context.Context) error {
		return same(a.original, plane.ReadRoute(a.t, a.kind, a.Name))
	})
	a.gone()
}

// gone requires that what sluice made for the release is no more.
func (a *app) gone() {
	a.t.Helper()
	a.Eventually("the Services of the release are gone", func(ctx context.Context) error {
		for _, name := range []string{"web-stable", "web-canary"} {
			if _, err := a.Admin.CoreV1().Services(a.Name).Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("service %s: %w", name, err)
			}
		}
		list, err := plane.Routes(a.kind, a.Name).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("there are %d routes", len(list.Items))
		}
		return err
	})
}

// nothingLost ends the load and requires that every request was answered, and that as many were sent as the test says:
// of a load that stood still, nothing can be lost.
func (a *app) nothingLost() gateway.Answers {
	a.t.Helper()
	ended := time.Now()
	all := a.load.Stop()
	require.Empty(a.t, all.Lost(), "of %d requests", len(all))
	sent := all.Rate(ended)
	require.GreaterOrEqual(a.t, sent, 0.9*float64(a.rate), "requests a second, of %d", len(all))
	a.t.Logf("%d requests, %.1f a second, none lost", len(all), sent)
	return all
}
