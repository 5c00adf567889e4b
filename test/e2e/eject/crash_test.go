package eject

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/eject"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

var errCrashed = errors.New("the program ended right after its first write")

// crashing lets one write be stored and loses its answer; after that nothing goes out any more.
type crashing struct {
	next  http.RoundTripper
	wrote string
}

func (c *crashing) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.wrote != "" {
		return nil, errCrashed
	}
	response, err := c.next.RoundTrip(r)
	if err != nil || r.Method == http.MethodGet || strings.Contains(r.URL.Path, "selfsubjectaccessreviews") {
		return response, err
	}
	if response.StatusCode < 300 {
		c.wrote = r.Method + " " + r.URL.Path
		response.Body.Close()
		return nil, errCrashed
	}
	return response, err
}

// run ejects, and crashes right after the first write; none is empty where there was nothing to write.
func run(t *testing.T, scope eject.Scope, ending canary.Ending) (wrote string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", env.Cluster.Kubeconfig("admin"))
	require.NoError(t, err)
	crash := &crashing{}
	config.QPS = -1
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { crash.next = next; return crash })
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	require.NoError(t, err)
	e := eject.New(client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds)))
	e.Timeout = time.Minute
	plan, err := e.Plan(t.Context(), scope, eject.Request{Ending: ending})
	require.NoError(t, err)
	require.NoError(t, e.Permit(t.Context(), plan))
	err = e.Execute(t.Context(), plan, func(string) {})
	if crash.wrote == "" {
		require.NoError(t, err)
	}
	return crash.wrote
}

// TestEjectThatCrashesAfterEachOfItsWritesIsFinishedByTheNext runs it until it has nothing left to write.
func TestEjectThatCrashesAfterEachOfItsWritesIsFinishedByTheNext(t *testing.T) {
	var scenarios []scenario
	for _, ending := range anyEnding {
		for _, what := range []string{"deployment", "statefulset", "namespace"} {
			if what == "namespace" && ending == canary.EndPromoted {
				continue // the others have more to do
			}
			scenarios = append(scenarios, scenario{what + " " + string(ending), func(t *testing.T) func() {
				t.Helper()
				n := env.Namespace(t)
				n.Unjudged()
				bothWait(n, what, ending)
				return func() {
					scope := eject.Scope{Namespace: n.Name}
					switch what {
					case "deployment":
						scope.Workload = &workload.Ref{Kind: workload.Deployment, Namespace: n.Name, Name: "web"}
					case "statefulset":
						scope.Workload = &workload.Ref{Kind: workload.StatefulSet, Namespace: n.Name, Name: "db"}
					}
					markEnding(n, what, ending)
					crashOn(t, scope, ending)
					requireEjected(t, n, what, ending)
					judge(t, n)
				}
			}})
		}
	}
	whileDead(t, scenarios)
}

// crashOn runs it until it has nothing left to write.
func crashOn(t *testing.T, scope eject.Scope, ending canary.Ending) {
	t.Helper()
	writes := 0
	for wrote := "first"; wrote != ""; writes++ {
		require.Less(t, writes, 30, "it does not come to an end")
		wrote = run(t, scope, ending)
		t.Log(wrote)
	}
}

// TestEjectThatCrashesInALaterPhaseIsFinishedByTheNext: the end of such a release may only remove fields, so
// that nothing but its mark tells of it.
func TestEjectThatCrashesInALaterPhaseIsFinishedByTheNext(t *testing.T) {
	var scenarios []scenario
	for _, start := range []struct {
		phase  string
		ending canary.Ending
		want   string // the image of all pods; empty: that of the phase
	}{
		{"Promoting", "", ""},
		{"Aborted", canary.EndReverted, v1},
		{"Aborted", canary.EndPaused, v1},
		{"Aborted, before the canary goes", canary.EndReverted, v1},
		{"Aborted, before the canary goes", canary.EndPaused, v1},
	} {
		p := setPhases()[start.phase]
		scenarios = append(scenarios, scenario{strings.TrimSpace(start.phase + " " + string(start.ending)), func(t *testing.T) func() {
			t.Helper()
			n := env.Namespace(t)
			n.Unjudged()
			s := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
			p.reach(t, s)
			return func() {
				if start.ending != canary.EndReverted {
					n.Mark("db", watch.ApprovedFull)
				}
				crashOn(t, eject.Scope{Namespace: n.Name}, start.ending)
				requirePlain(t, s.Get(), false)
				image := cmp.Or(start.want, p.image)
				s.WaitImages(image, image, image)
				judge(t, n)
			}
		}})
	}
	whileDead(t, scenarios)
}

// versionOf is what the StatefulSet goes to: a pod that is never ready needs a write more.
func versionOf(ending canary.Ending) string {
	if ending == canary.EndReverted {
		return unready
	}
	return v2
}

// bothWait brings releases of a Deployment, a StatefulSet or both to where they are held.
func bothWait(n *harness.Namespace, what string, ending canary.Ending) {
	if what != "statefulset" {
		n.Create(web().Obj())
		n.SetImage("web", v2)
	}
	if what != "deployment" {
		s := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
		s.SetImage(versionOf(ending))
		if versionOf(ending) == v2 {
			s.WaitPhase(canary.Waiting, 1)
		} else {
			s.WaitImages(v1, v1)
		}
	}
	if what != "statefulset" {
		waiting(n)
	}
}

// markEnding tells the judge what comes.
func markEnding(n *harness.Namespace, what string, ending canary.Ending) {
	if what != "statefulset" {
		switch ending {
		case canary.EndPromoted:
			n.Mark("web", watch.ApprovedFull)
		case canary.EndPaused:
			n.Mark("web", watch.Paused)
		case canary.EndReverted:
		}
	}
	if what != "deployment" && ending != canary.EndReverted {
		n.Mark("db", watch.ApprovedFull)
	}
}

// requireEjected requires plain workloads that are where they should be.
func requireEjected(t *testing.T, n *harness.Namespace, what string, ending canary.Ending) {
	t.Helper()
	requireNothingMarked(t, n)
	named := what == "deployment" || what == "statefulset"
	if what != "statefulset" {
		d := n.Deployment("web")
		requirePlain(t, d, named)
		require.Equal(t, ending == canary.EndPaused, d.Spec.Paused)
		if ending == canary.EndPromoted {
			n.PodsOfEventually("web", v2, 4)
		}
		n.PodsOfEventually("web", v1, map[bool]int{true: 0, false: 4}[ending == canary.EndPromoted])
	}
	if what == "statefulset" || what == "namespace" {
		s := harness.Set{Namespace: n}
		requirePlain(t, s.Get(), named)
		image := v1
		if ending == canary.EndPromoted {
			image = v2
		}
		s.WaitImages(image, image, image)
	}
}
