package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// versions makes two Deployments, each with its Service: four pods of v1 behind web, and one of v2 behind next.
// sluice has no part in it. Requests go to web.
func versions(t *testing.T, kind Kind) *harness.Namespace {
	t.Helper()
	n := gateway.Env.Namespace(t, harness.OptedOut)
	n.Unjudged()
	n.Create(builders.MakeDeployment("web").Replicas(4).Image(v1).Obj())
	n.Create(builders.MakeDeployment("next").Image(v2).Obj())
	for _, name := range []string{"web", "next"} {
		gateway.CreateService(t, n.Name, name, map[string]string{"app": name})
	}
	gateway.CreateRoute(t, kind, n.Name)
	return n
}

// split sends a share to the Service next by hand, and returns when it does. 0 takes it back.
func split(t *testing.T, kind Kind, n *harness.Namespace, percent int) {
	t.Helper()
	splits[kind.Name](t, n, percent)
	want := func(a Answer) bool { return a.Image == v2 }
	if percent == 0 {
		want = streak(v1)
	}
	gateway.Await(t, Host(n.Name), "the split is in force", want)
}

// streak asks for a hundred answers of an image in a row: with a share of 20 % there are never that many of the others.
func streak(image string) func(Answer) bool {
	seen := 0
	return func(a Answer) bool {
		if seen++; a.Image != image {
			seen = 0
		}
		return seen == 100
	}
}

// streakBut asks for a hundred answers in a row that are not of an image.
func streakBut(image string) func(Answer) bool {
	seen := 0
	return func(a Answer) bool {
		if seen++; a.Image == image {
			seen = 0
		}
		return seen == 100
	}
}

var splits = map[string]func(t *testing.T, n *harness.Namespace, percent int){
	"HTTPRoute": func(t *testing.T, n *harness.Namespace, percent int) {
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/backendRefs","value":[
			{"name":"web","port":80,"weight":%d},{"name":"next","port":80,"weight":%d}]}]`, 100-percent, percent)
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
		require.NoError(t, unstructured.SetNestedField(path, "next", "backend", "service", "name"))
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
			n.Kubectl("scale", "deployment/next", "--replicas=0")
			n.PodsOfEventually("next", v2, 0)
			last, _ := load.LastOf(v2)
			gateway.awaitGone(t, n, "next")
			all := load.Stop()
			require.Empty(t, all.Lost(), "%s", all.Lost())
			require.Less(t, last, all[len(all)-1].At)
			require.Greater(t, len(all), 200)
		})
	}
}

// awaitGone returns when a Deployment has no pods, terminating ones neither.
func (g *Gateway) awaitGone(t *testing.T, n *harness.Namespace, app string) {
	t.Helper()
	n.Kubectl("wait", "--for=delete", "pod", "--selector=app="+app, "--timeout=30s")
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
			gateway.Await(t, Host(n.Name), "no pod answers", streakBut(v2))
			settled := time.Now()
			later := gateway.Burst(t, Host(n.Name), 1000)
			all := load.Stop()
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
	endpoint := gateway.Endpoints(t, n.Name, "next")[0]
	c := &sender{http: &http.Client{Timeout: patience}}
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
	endpoint = gateway.Endpoints(t, n.Name, "next")[0]
	require.Equal(t, pod, ask().Pod)
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
