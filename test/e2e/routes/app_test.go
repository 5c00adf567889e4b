package routes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// app is a workload of four pods with a Service shop and routes to it.
type app struct {
	*harness.Namespace
	t      *testing.T
	kind   kind
	set    *harness.Set // nil: the workload is the Deployment web
	client dynamic.ResourceInterface
	before map[string]string // what the routes said
	deaf   atomic.Bool       // the gateway accepts nothing
}

// each runs a test for each kind of route and both kinds of workloads, side by side.
func each(t *testing.T, test func(t *testing.T, k kind, workload string)) {
	for name, k := range kinds {
		for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
			t.Run(workload+" "+name, func(t *testing.T) {
				t.Parallel()
				installed(t)
				test(t, k, workload)
			})
		}
	}
}

func start(t *testing.T, k kind, workload string, options ...harness.Option) *app {
	t.Helper()
	a := bare(t, k, workload, options...)
	a.create()
	return a
}

// held starts an app whose new version is held at the first step, with 20 % of the requests.
func held(t *testing.T, k kind, workload, steps string) *app {
	t.Helper()
	a := start(t, k, workload, harness.Steps(steps))
	a.setImage(v2)
	a.waits(canary.Waiting, 1)
	a.shared(20)
	return a
}

// bare makes an app without Service and routes.
func bare(t *testing.T, k kind, workload string, options ...harness.Option) *app {
	t.Helper()
	n := env.Namespace(t, options...)
	a := &app{Namespace: n, t: t, kind: k, before: map[string]string{}, client: routesOf(t).Resource(k.resource).Namespace(n.Name)}
	if workload == canary.StatefulSet {
		set := n.CreateSet(builders.MakeStatefulSet("db").Replicas(4).Image(v1).Obj())
		a.set = &set
	} else {
		n.Create(builders.MakeDeployment("web").Replicas(4).Image(v1).Obj())
	}
	return a
}

// create makes the Service and the routes, and plays their gateway.
func (a *app) create() {
	a.t.Helper()
	a.createService()
	for _, text := range a.kind.routes {
		a.createRoute(text)
	}
	a.playGateway()
}

// createRoute creates a route, perhaps again.
func (a *app) createRoute(text string) {
	a.t.Helper()
	route, err := a.client.Create(a.t.Context(), parse(text), metav1.CreateOptions{FieldManager: "helm"})
	require.NoError(a.t, err)
	if _, again := a.before[route.GetName()]; !again {
		a.before[route.GetName()] = content(a.t, route)
	}
}

func (a *app) createService() {
	a.t.Helper()
	_, err := a.Admin.CoreV1().Services(a.Name).Create(a.t.Context(), a.service(), metav1.CreateOptions{})
	require.NoError(a.t, err)
}

// workload returns its resource and its name.
func (a *app) workload() (resource, name string) {
	if a.set != nil {
		return "statefulset", "db"
	}
	return "deployment", "web"
}

func (a *app) service() *corev1.Service {
	_, name := a.workload()
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
}

// playGateway accepts each version of the routes, until the test ends.
func (a *app) playGateway() {
	if !a.kind.accepted {
		return
	}
	done, ctx := make(chan struct{}), a.t.Context()
	go func() {
		defer close(done)
		// Each look costs the API server a list.
		for tick := time.NewTicker(300 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			if !a.deaf.Load() {
				a.accept(ctx)
			}
		}
	}()
	a.t.Cleanup(func() { <-done })
	a.Eventually("all routes are accepted", func(ctx context.Context) error {
		list, err := a.client.List(ctx, metav1.ListOptions{})
		for _, route := range list.Items {
			if _, ok := route.Object["status"]; !ok {
				return fmt.Errorf("%s is not", route.GetName())
			}
		}
		return err
	})
}

func (a *app) accept(ctx context.Context) {
	list, err := a.client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return // the test is over, or tries again
	}
	for i := range list.Items {
		route := &list.Items[i]
		was, _ := json.Marshal(route.Object["status"])
		if strings.Contains(string(was), fmt.Sprintf(`"observedGeneration":%d,`, route.GetGeneration())) {
			continue
		}
		condition := func(kind string) map[string]any {
			return map[string]any{
				"type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": route.GetGeneration(),
				"lastTransitionTime": metav1.Now().UTC().Format(time.RFC3339),
			}
		}
		patch, _ := json.Marshal(map[string]any{"status": map[string]any{"parents": []any{map[string]any{
			"controllerName": "example.com/gate", "parentRef": map[string]any{"name": "gate"},
			"conditions": []any{condition("Accepted"), condition("ResolvedRefs")},
		}}}})
		_, _ = a.client.Patch(ctx, route.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "gate"}, "status")
	}
}

// routes returns those of people by name, as stored, and requires that sluice owns nothing of their specs.
func (a *app) routes() []*unstructured.Unstructured {
	a.t.Helper()
	list, err := a.client.List(a.t.Context(), metav1.ListOptions{})
	require.NoError(a.t, err)
	var found []*unstructured.Unstructured
	for i := range list.Items {
		if !split.IsCanaryIngress(&list.Items[i]) {
			a.owns(&list.Items[i])
			found = append(found, &list.Items[i])
		}
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return found
}

// canaryOf returns the canary Ingress of a route, nil where there is none.
func (a *app) canaryOf(route *unstructured.Unstructured) *unstructured.Unstructured {
	a.t.Helper()
	if !a.kind.besides() {
		return nil
	}
	found, err := a.client.Get(a.t.Context(), split.CanaryIngressName(route.GetName(), split.NamesOf("shop")), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(a.t, err)
	return found
}

// shares are those of the rules of a route.
func (a *app) shares(route *unstructured.Unstructured) []string {
	a.t.Helper()
	return a.kind.shares(route, a.canaryOf(route))
}

func (a *app) owns(route *unstructured.Unstructured) {
	a.t.Helper()
	for _, entry := range route.GetManagedFields() {
		if entry.Manager != "sluice" {
			continue
		}
		var fields map[string]map[string]map[string]any
		require.NoError(a.t, json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields))
		require.Equal(a.t, []string{"f:metadata"}, slices.Collect(maps.Keys(fields)), "%s", entry.FieldsV1.GetRawString())
		for part, keys := range fields["f:metadata"] {
			delete(keys, ".")
			for key := range keys {
				require.Contains(a.t, []string{"f:annotations f:sluice.dev/split", "f:labels f:sluice.dev/release-active"}, part+" "+key)
			}
		}
	}
}

// content is what people say of a route.
func content(t *testing.T, route *unstructured.Unstructured) string {
	t.Helper()
	raw, err := json.Marshal([]any{route.Object["spec"], route.GetAnnotations(), route.GetLabels()})
	require.NoError(t, err)
	return string(raw)
}
