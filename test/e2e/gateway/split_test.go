package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// versions makes two Deployments, each with its Service: four pods of v1 behind web, and one of v2, next, behind
// web-canary. sluice has no part in it. Requests go to web.
func versions(t *testing.T, kind Kind) *harness.Namespace {
	t.Helper()
	n := gateway.Env.Namespace(t, harness.OptedOut)
	n.Unjudged()
	n.Create(builders.MakeDeployment("web").Replicas(4).Image(v1).Obj())
	n.Create(builders.MakeDeployment("next").Image(v2).Obj())
	for name, app := range map[string]string{"web": "web", "web-canary": "next"} {
		gateway.CreateService(t, n.Name, name, map[string]string{"app": app})
	}
	gateway.CreateRoute(t, kind, n.Name)
	for service, pods := range map[string]int{"web": 4, "web-canary": 1} {
		n.Eventually("the endpoints of "+service+" are its pods", func(context.Context) error {
			if ready := gateway.Endpoints(t, n.Name, service); len(ready) != pods {
				return fmt.Errorf("they are %v", ready)
			}
			return nil
		})
	}
	return n
}

// split sends a share to the Service web-canary by hand, and returns when Traefik does.
func split(t *testing.T, kind Kind, n *harness.Namespace, percent int) {
	t.Helper()
	splits[kind.Name](t, n, percent)
	gateway.AwaitCanaryWeight(t, n.Name, float64(percent))
}

var splits = map[string]func(t *testing.T, n *harness.Namespace, percent int){
	"HTTPRoute": func(t *testing.T, n *harness.Namespace, percent int) {
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/backendRefs","value":[
			{"name":"web","port":80,"weight":%d},{"name":"web-canary","port":80,"weight":%d}]}]`, 100-percent, percent)
		_, err := gateway.Routes(HTTPRoute, n.Name).Patch(t.Context(), "web", types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
	},
	"Ingress": func(t *testing.T, n *harness.Namespace, percent int) {
		canary := Ingress.Route(n.Name)
		canary.SetName("next")
		canary.SetAnnotations(map[string]string{
			"nginx.ingress.kubernetes.io/canary":        "true",
			"nginx.ingress.kubernetes.io/canary-weight": fmt.Sprint(percent),
		})
		rules, _, err := unstructured.NestedSlice(canary.Object, "spec", "rules")
		require.NoError(t, err)
		path := rules[0].(map[string]any)["http"].(map[string]any)["paths"].([]any)[0].(map[string]any)
		require.NoError(t, unstructured.SetNestedField(path, "web-canary", "backend", "service", "name"))
		require.NoError(t, unstructured.SetNestedSlice(canary.Object, rules, "spec", "rules"))
		_, err = gateway.Routes(Ingress, n.Name).Apply(t.Context(), "next", canary, metav1.ApplyOptions{FieldManager: "test", Force: true})
		require.NoError(t, err)
	},
}

func TestASplitByHandGivesItsShare(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			n := versions(t, kind)
			load := gateway.Load(t, Host(n.Name), 200)
			split(t, kind, n, 20)
			answers := gateway.Burst(t, Host(n.Name), 10_000)
			require.Empty(t, answers.Lost())
			require.InDelta(t, 20, answers.Shares()[v2], 1)
			t.Logf("of %d requests %.2f %% went to v2", len(answers), answers.Shares()[v2])

			// Back, and only then the pods: nothing is lost.
			split(t, kind, n, 0)
			back := time.Now()
			n.Kubectl("scale", "deployment/next", "--replicas=0")
			gateway.awaitGone(t, n, "next")
			all := load.Stop()
			require.Empty(t, all.Lost(), "%s", all.Lost())
			require.Empty(t, all.Between(back, time.Now()).Of(v2), "what Traefik says is what it does")
			require.Greater(t, len(all), 200)
		})
	}
}

// awaitGone returns when a Deployment has no pods, terminating ones neither.
func (g *Gateway) awaitGone(t *testing.T, n *harness.Namespace, app string) {
	t.Helper()
	n.Kubectl("wait", "--for=delete", "pod", "--selector=app="+app, "--timeout=30s")
}

// awaitStreak returns when a hundred answers in a row were not of an image, while it had 20 %.
func (g *Gateway) awaitStreak(t *testing.T, n *harness.Namespace, but string) time.Time {
	t.Helper()
	seen := 0
	g.Await(t, Host(n.Name), "no pod of "+but+" answers", func(a Answer) bool {
		if seen++; a.Image == but {
			seen = 0
		}
		return seen == 100
	})
	return time.Now()
}

// TestTheStatusOfARouteComesBeforeWhatItSays measures it: whoever goes by the status is early by so much.
func TestTheStatusOfARouteComesBeforeWhatItSays(t *testing.T) {
	n := versions(t, HTTPRoute)
	var early []time.Duration
	for i := range 20 {
		percent := 20 * (i%2 + 1)
		splits["HTTPRoute"](t, n, percent)
		n.Eventually("the route is accepted", func(context.Context) error { return accepted(gateway.ReadRoute(t, HTTPRoute, n.Name)) })
		early = append(early, gateway.AwaitCanaryWeight(t, n.Name, float64(percent)))
	}
	slices.Sort(early)
	t.Logf("the configuration is in force after the status: median %s, at most %s", early[len(early)/2], early[len(early)-1])
	require.Less(t, early[len(early)-1], 5*time.Second)
}

// accepted returns why a route is not accepted as it is now.
func accepted(route *unstructured.Unstructured) error {
	parents, _, err := unstructured.NestedSlice(route.Object, "status", "parents")
	if err != nil || len(parents) == 0 {
		return fmt.Errorf("no parent has written a status: %w", err)
	}
	conditions, _, err := unstructured.NestedSlice(parents[0].(map[string]any), "conditions")
	if err != nil {
		return err
	}
	for _, c := range conditions {
		condition := c.(map[string]any)
		if condition["status"] != "True" || condition["observedGeneration"] != route.GetGeneration() {
			return fmt.Errorf("at generation %d: %v", route.GetGeneration(), condition)
		}
	}
	return nil
}

// TestLossesAreSeen breaks the order on purpose: the pods go while they still get 20 %.
func TestLossesAreSeen(t *testing.T) {
	// What is lost of the requests once no pod is left, in percent.
	afterwards := map[string]float64{"HTTPRoute": 20, "Ingress": 0}
	for _, kind := range Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			n := versions(t, kind)
			load := gateway.Load(t, Host(n.Name), 200)
			split(t, kind, n, 20)
			before := time.Now()
			n.Kubectl("scale", "deployment/next", "--replicas=0")
			gateway.awaitGone(t, n, "next")
			gone := time.Now()
			settled := gateway.awaitStreak(t, n, v2)
			later := gateway.Burst(t, Host(n.Name), 1000)
			all := load.Stop()
			later = append(later, all.Between(later[0].At, time.Now())...) // Traefik counts them together
			lost := all.Lost()
			require.NotEmpty(t, lost)
			t.Logf("%s", lost[:min(3, len(lost))])
			require.Empty(t, all.Between(time.Time{}, before).Lost())
			require.NotEmpty(t, lost[0].Reason)
			share := func(a Answers) float64 { return 100 * float64(len(a.Lost())) / float64(len(a)) }
			require.InDelta(t, 20, share(all.Between(lost[0].At, gone)), 8, "while the pod is terminating")
			require.InDelta(t, afterwards[kind.Name], share(later), 1, "once it is gone")
			require.Empty(t, all.Between(settled, time.Now()).Of(v2))
		})
	}
}

// TestAnAddressIsAnsweredByItsPodAsLongAsThereIsOne asks pods themselves.
func TestAnAddressIsAnsweredByItsPodAsLongAsThereIsOne(t *testing.T) {
	n := versions(t, HTTPRoute)
	endpoint := gateway.Endpoints(t, n.Name, "web-canary")[0]
	c := &sender{http: &http.Client{Timeout: patience}, host: Host(n.Name)}
	ask := func() Answer { return c.get("http://" + endpoint + "/") }
	first := ask()
	require.Equal(t, v2, first.Image)
	require.Equal(t, n.PodsOf("next", v2)[0], first.Pod)
	require.NotEmpty(t, first.Hash)

	begun := time.Now()
	n.Kubectl("delete", "pod", first.Pod, "--wait=false")
	var last Answer
	for a := ask(); !a.Lost(); a = ask() {
		require.Equal(t, first.Pod, a.Pod)
		last = a
	}
	served := last.Done().Sub(begun)
	require.Greater(t, served, Grace/2, "a terminating pod goes on serving")
	lost := ask()
	require.Contains(t, lost.Reason, "connection reset by peer")
	require.Zero(t, lost.Status)

	pod := n.PodsOfEventually("next", v2, 1)[0]
	n.WaitDeployment("next", "its new pod is ready", harness.Complete)
	n.Eventually("the endpoint is the new pod's", func(context.Context) error {
		for _, ready := range gateway.Endpoints(t, n.Name, "web-canary") {
			if endpoint = ready; ask().Pod == pod {
				return nil
			}
		}
		return fmt.Errorf("it is %s", endpoint)
	})
	status := `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`
	_, err := n.Admin.CoreV1().Pods(n.Name).Patch(t.Context(), pod, types.StrategicMergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	n.Eventually("a pod that is not ready does not answer", func(context.Context) error {
		if a := ask(); !a.Lost() {
			return errors.New(a.String())
		}
		return nil
	})
}
