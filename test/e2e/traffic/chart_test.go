package traffic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestAChartThatRewritesItsRouteInMidReleaseBreaksNothing: one pod of eleven gets 80 %, so that a route to all of
// them would show at once. Whatever was stored in between, it was split.
func TestAChartThatRewritesItsRouteInMidReleaseBreaksNothing(t *testing.T) {
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			each(t, func(t *testing.T, kind gateway.Kind) {
				n := plane.Env.Namespace(t, harness.Steps("80%/1"))
				values := []string{"--set", "replicas=10,route.kind=" + kind.Name + ",route.host=" + gateway.Host(n.Name)}
				chart := func(command string, more ...string) []string {
					return append(append([]string{command, "web", harness.Chart()}, values...), more...)
				}
				n.Run(helm, chart("install", "--set", "image="+v1)...)
				n.WaitStable("web")
				plane.Await(t, gateway.Host(n.Name), "the route is served", func(a gateway.Answer) bool { return a.Image == v1 })
				a := serve(t, n, kind, plane.ReadRoute(t, kind, n.Name))

				n.Run(helm, chart("upgrade", "--set", "image="+v2)...)
				a.WaitPhase("web", canary.Waiting, 1)
				a.share(v2, 80, few)
				split := time.Now()

				rewritten := n.Run(helm, chart("template", "--set", "image="+v2, "--show-only", "templates/route.yaml")...)
				file := n.File("route.yaml", []byte(rewritten.Stdout))
				for range 3 {
					n.Run(helm, chart("upgrade", "--set", "image="+v2)...)
				}
				// The last ones: what kubectl replaces is no longer Helm 4's to apply.
				for range 3 {
					n.Replace(file)
				}
				a.original.SetAnnotations(nil) // the file has none of those that Helm adds
				a.unbroken(split, v2, 80)
				a.share(v2, 80, few)
				a.Approve("web")
				a.restored()
				a.nothingLost()
			})
		})
	}
}

// unbroken requires that every version of the route since then was split, and that so were the requests.
func (a *app) unbroken(since time.Time, image string, percent float64) {
	a.t.Helper()
	answers := a.load.Answers().Between(since, time.Now())
	const window = 200
	for i := 0; i+window <= len(answers); i += window {
		require.InDelta(a.t, percent, answers[i : i+window].Shares()[image], 5, "of %d requests at %s", window, answers[i].At)
	}
	written := 0
	for _, v := range a.routes.seen() {
		if v.at.Before(since) || v.route.GetName() != "web" {
			continue
		}
		written++
		for _, b := range backends(a.t, a.kind, v.route) {
			require.NotEqual(a.t, "web", b.Name, "version %s of the route", v.route.GetResourceVersion())
		}
	}
	a.t.Logf("the route was stored %d times meanwhile, %d requests", written, len(answers))
}
