package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// Each rewrite changes how long a request may take, to that many seconds: what is the same Helm does not send. The last
// ones are by kubectl: what that replaces is no longer Helm 4's to apply.
var (
	upgraded = []string{"21", "22", "23"}
	replaced = []string{"24", "25", "26"}
)

// TestAChartThatRewritesItsRouteInMidReleaseBreaksNothing: one pod of eleven gets 80 %, so that a route to all of
// them would show at once. Whatever was stored in between, it was split, and had what the chart changed.
func TestAChartThatRewritesItsRouteInMidReleaseBreaksNothing(t *testing.T) {
	t.Parallel()
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			each(t, func(t *testing.T, kind gateway.Kind) {
				n := plane.Env.Namespace(t, harness.Steps("80%/1"))
				c := chart{n, helm, "replicas=10,route.kind=" + kind.Name + ",route.host=" + gateway.Host(n.Name)}
				c.run("install", "image="+v1)
				n.WaitStable("web")
				plane.Await(t, gateway.Host(n.Name), "the route is served", func(a gateway.Answer) bool { return a.Image == v1 })
				a := serve(t, n, kind, c.wouldReplace(replaced[len(replaced)-1]))

				c.run("upgrade", "image="+v2)
				a.WaitPhase("web", canary.Waiting, 1)
				a.share(v2, 80, few)
				split := time.Now()
				for _, seconds := range upgraded {
					c.run("upgrade", "image="+v2+",route.timeout="+seconds)
				}
				for _, seconds := range replaced {
					n.Replace(c.route(seconds))
				}
				a.unbroken(split, v2, 80, slices.Concat(upgraded, replaced))
				a.share(v2, 80, few)
				a.Approve("web")
				a.restored()
				a.nothingLost()
			})
		})
	}
}

// chart is the sample chart as a version of Helm brings it.
type chart struct {
	*harness.Namespace
	helm, values string
}

func (c chart) run(command, values string, more ...string) harness.Result {
	return c.Run(c.helm, append([]string{command, "web", harness.Chart(), "--set", c.values + "," + values}, more...)...)
}

// route is a file with the route as the chart renders it.
func (c chart) route(seconds string) (file string) {
	rendered := c.run("template", "route.timeout="+seconds, "--show-only", "templates/route.yaml")
	return c.File("route-"+seconds+".yaml", []byte(rendered.Stdout))
}

// wouldReplace is the route as it would be stored if that file replaced it now, while there is no release.
func (c chart) wouldReplace(seconds string) *unstructured.Unstructured {
	stored := c.Kubectl("replace", "--dry-run=server", "-o", "json", "-f", c.route(seconds)).Stdout
	route := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(stored), &route.Object); err != nil {
		panic("this is a bug: kubectl writes what is not JSON: " + err.Error())
	}
	return route
}

// unbroken requires that the route was stored with each of these timeouts since then, one after another, that every
// version of it was split, and that so were the requests.
func (a *app) unbroken(since time.Time, image string, percent float64, timeouts []string) {
	a.t.Helper()
	var stored []version
	a.Eventually("every change of the route was stored", func(context.Context) error {
		stored = slices.DeleteFunc(a.routes.seen(), func(v version) bool { return v.at.Before(since) || v.route.GetName() != "web" })
		if got := timeoutsOf(a.kind, stored); !slices.Equal(got, timeouts) {
			return fmt.Errorf("of %d versions the timeouts are %v, and should be %v", len(stored), got, timeouts)
		}
		return nil
	})
	for _, v := range stored {
		for _, b := range backends(a.t, a.kind, v.route) {
			require.NotEqual(a.t, "web", b.Name, "version %s of the route", v.route.GetResourceVersion())
		}
	}
	answers := a.load.Answers().Between(since, time.Now())
	const window = 200
	for i := 0; i+window <= len(answers); i += window {
		require.InDelta(a.t, percent, answers[i : i+window].Shares()[image], 5, "of %d requests at %s", window, answers[i].At)
	}
	a.t.Logf("the route was stored %d times meanwhile, %d requests", len(stored), len(answers))
}

// timeoutsOf returns how many seconds a request may take by versions of a route, without repetitions.
func timeoutsOf(kind gateway.Kind, versions []version) []string {
	var found []string
	for _, v := range versions {
		timeout := v.route.GetAnnotations()["nginx.ingress.kubernetes.io/proxy-read-timeout"]
		if kind.Name == gateway.HTTPRoute.Name {
			rules, _, _ := unstructured.NestedSlice(v.route.Object, "spec", "rules")
			for _, rule := range rules {
				timeout, _, _ = unstructured.NestedString(rule.(map[string]any), "timeouts", "request")
			}
		}
		if timeout != "" {
			found = append(found, strings.TrimSuffix(timeout, "s"))
		}
	}
	return slices.Compact(found)
}
