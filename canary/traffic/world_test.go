package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// world is an API server in memory, with admission by split.Admitted, and a Router.
type world struct {
	*Router
	t        *testing.T
	client   client.Client
	workload Workload
	now      time.Time
	mapper   *countingMapper

	webhookIsDown bool
	backwards     bool // lists come in the other order
	writes        []string
}

// countingMapper counts how often it is asked for a kind that it does not know.
type countingMapper struct {
	meta.RESTMapper
	misses map[schema.GroupKind]int
}

func (m *countingMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err != nil {
		m.misses[kind]++
	}
	return mapping, err
}

// versions of the kinds that the world knows: of routes, of what lets them send requests elsewhere, and of what is
// bound to Services by their names.
var versions = map[schema.GroupKind]string{
	split.HTTPRoute: "v1", split.GRPCRoute: "v1", split.Ingress: "v1", split.VirtualService: "v1", split.ApisixRoute: "v2",
	referenceGrantKind: "v1",
	tlsPolicyKind:      "v1", destinationRuleKind: "v1", apisixUpstreamKind: "v2",
}

func makeWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	return makeWorldWithout(t, nil, objects...)
}

// makeWorldWithout leaves out the CRDs of some kinds of routes.
func makeWorldWithout(t *testing.T, absent []schema.GroupKind, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme, appsv1.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	var groups []schema.GroupVersion
	for kind, version := range versions {
		groups = append(groups, schema.GroupVersion{Group: kind.Group, Version: version})
	}
	known := meta.NewDefaultRESTMapper(groups)
	for _, kind := range []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("Service"), corev1.SchemeGroupVersion.WithKind("Pod"),
		discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), networkingv1.SchemeGroupVersion.WithKind("IngressClass"),
	} {
		known.Add(kind, meta.RESTScopeNamespace)
	}
	for kind, version := range versions {
		if !slices.Contains(absent, kind) {
			known.Add(kind.WithVersion(version), meta.RESTScopeNamespace)
		}
	}
	w := &world{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), workload: web(), mapper: &countingMapper{known, map[schema.GroupKind]int{}}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(w.mapper).WithObjects(objects...).
		WithInterceptorFuncs(interceptor.Funcs{Patch: w.patch, List: w.list, Create: w.create, Update: w.update, Delete: w.remove}).Build()
	w.Router = New(w.client, func() time.Time { return w.now })
	return w
}

// patch is the API server's: the merge patch, then admission, then the write.
func (w *world) patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, _ ...client.PatchOption) error {
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), stored); err != nil {
		return err
	}
	diff, err := p.Data(o)
	require.NoError(w.t, err)
	before, err := json.Marshal(stored.Object)
	require.NoError(w.t, err)
	after, err := jsonpatch.MergePatch(before, diff)
	require.NoError(w.t, err)
	asked := &unstructured.Unstructured{}
	require.NoError(w.t, asked.UnmarshalJSON(after))
	if !w.webhookIsDown {
		asked, _, err = split.Admitted(providerOf(stored), stored, asked, true)
		require.NoError(w.t, err)
	}
	require.Subset(w.t, []string{"annotations", "labels", "resourceVersion"}, keysOf(w.t, diff), "sluice writes metadata alone")
	w.writes = append(w.writes, "patch "+nameOf(stored))
	if err := c.Update(ctx, asked); err != nil {
		return err
	}
	o.(*unstructured.Unstructured).Object = asked.Object
	return nil
}

func keysOf(t *testing.T, patch []byte) []string {
	t.Helper()
	var fields map[string]map[string]any
	require.NoError(t, json.Unmarshal(patch, &fields))
	require.Len(t, fields, 1)
	var keys []string
	for key := range fields["metadata"] {
		keys = append(keys, key)
	}
	return keys
}

// list knows the selector of fields that Pods are asked for with, and both orders.
func (w *world) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	options := (&client.ListOptions{}).ApplyOptions(opts)
	if options.FieldSelector == nil {
		err := c.List(ctx, list, opts...)
		if routes, ok := list.(*unstructured.UnstructuredList); ok && w.backwards {
			slices.Reverse(routes.Items)
		}
		if services, ok := list.(*corev1.ServiceList); ok && w.backwards {
			slices.Reverse(services.Items)
		}
		return err
	}
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(options.Namespace), client.MatchingLabelsSelector{Selector: options.LabelSelector}); err != nil {
		return err
	}
	found := list.(*metav1.PartialObjectMetadataList)
	for _, pod := range pods.Items {
		if options.FieldSelector.Matches(labels.Set{"status.phase": string(pod.Status.Phase)}) {
			found.Items = append(found.Items, metav1.PartialObjectMetadata{ObjectMeta: pod.ObjectMeta})
		}
	}
	return nil
}

func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	w.writes = append(w.writes, "create "+o.GetName())
	return c.Create(ctx, o, opts...)
}

func (w *world) update(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
	w.writes = append(w.writes, "update "+o.GetName())
	return c.Update(ctx, o, opts...)
}

func (w *world) remove(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
	w.writes = append(w.writes, "delete "+o.GetName())
	return c.Delete(ctx, o, opts...)
}

// look is Look, which has to succeed.
func (w *world) look() *View {
	w.t.Helper()
	v, err := w.Look(w.t.Context(), w.workload)
	require.NoError(w.t, err)
	return v
}

// steer writes until every route has a share, and returns what was written.
func (w *world) steer(share *canary.Share) []string {
	w.t.Helper()
	w.writes = nil
	for range 20 {
		v := w.look()
		if !slices.ContainsFunc(v.State.Routes, func(r canary.Route) bool { return r.Differs || !canary.SameShare(r.Share, share) }) {
			return w.writes
		}
		require.NoError(w.t, w.Steer(w.t.Context(), v, share))
	}
	require.Fail(w.t, "the routes never have the share", "%v", w.writes)
	return nil
}

// stand makes sluice's Services.
func (w *world) stand() {
	w.t.Helper()
	for range 20 {
		v := w.look()
		if !v.State.Missing && !v.State.Astray {
			return
		}
		require.NoError(w.t, w.SelectPods(w.t.Context(), v))
	}
	require.Fail(w.t, "the Services are never whole")
}

// divide makes sluice's Services and divides every route.
func (w *world) divide(weight int32) {
	w.t.Helper()
	w.stand()
	w.steer(&canary.Share{Weight: weight})
}

// sweep sweeps until nothing is left, and returns what was written.
func (w *world) sweep() []string {
	w.t.Helper()
	w.writes = nil
	for range 20 {
		if w.sweepOnce() == Nothing {
			return w.writes
		}
		w.now = w.now.Add(time.Second)
	}
	require.Fail(w.t, "it is never over", "%v", w.writes)
	return nil
}

func (w *world) get(of client.Object) client.Object {
	w.t.Helper()
	require.NoError(w.t, w.client.Get(w.t.Context(), client.ObjectKeyFromObject(of), of))
	return of
}

// route reads a route again.
func (w *world) route(of *unstructured.Unstructured) *unstructured.Unstructured {
	w.t.Helper()
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(of.GroupVersionKind())
	now.SetNamespace(of.GetNamespace())
	now.SetName(of.GetName())
	return w.get(now).(*unstructured.Unstructured)
}

// services returns the names of all there are.
func (w *world) serviceNames() []string {
	w.t.Helper()
	list := &corev1.ServiceList{}
	require.NoError(w.t, w.client.List(w.t.Context(), list))
	var names []string
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// content is what a route says.
func content(route *unstructured.Unstructured) string {
	return fmt.Sprint(route.Object["spec"], route.GetAnnotations(), route.GetLabels())
}

// web is the Deployment of the tests.
func web() Workload {
	return Workload{
		Kind: "Deployment", Namespace: "shop", Name: "web",
		Owner:  metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: types.UID("web-uid")},
		Labels: labels.Set{"app": "web", "tier": "front"}, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}),
		HashLabel: "pod-template-hash", Stable: "aaa", Canary: "bbb",
	}
}
