package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

var routeResources = map[string]schema.GroupVersionResource{
	"HTTPRoute": {Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
	"Ingress":   {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
}

// plain is a route to the Service web, and to api beside it.
func plain(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()
	text := map[string]string{
		"HTTPRoute": `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop, generation: 4, labels: {app: web}}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: web, port: 80, weight: 7}, {name: api, port: 80, weight: 3}]}]
status:
  parents:
  - parentRef: {name: edge}
    conditions: [{type: Accepted, status: "True", observedGeneration: 9}, {type: ResolvedRefs, status: "True", observedGeneration: 9}]
`,
		"Ingress": `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: nginx
  rules: [{host: web.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`,
	}[kind]
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	route := &unstructured.Unstructured{}
	require.NoError(t, route.UnmarshalJSON(raw))
	return route
}

// divide returns a route, and its canary Ingress where it has one, as a release divides it.
func divide(t *testing.T, route *unstructured.Unstructured, weight int32, workload string) []runtime.Object {
	t.Helper()
	provider, ok := split.For(route.GroupVersionKind().GroupKind())
	require.True(t, ok)
	result, err := provider.Split(route, split.Share{Names: split.NamesOf("web"), Weight: weight, Workload: workload})
	require.NoError(t, err)
	labelled := result.Route.GetLabels()
	if labelled == nil {
		labelled = map[string]string{}
	}
	labelled[split.ActiveLabel] = "true"
	result.Route.SetLabels(labelled)
	objects := []runtime.Object{result.Route}
	if result.Companion != nil {
		result.Companion.SetLabels(map[string]string{canary.WorkloadLabel: "web", canary.ActiveLabel: "true"})
		objects = append(objects, result.Companion)
	}
	return objects
}

// ownServices are sluice's, of the two versions of the Deployment web.
func ownServices() []runtime.Object {
	return servicesOf("Deployment", "web", map[string]string{"web-stable": "7c9b", "web-canary": "x4k2"}, "pod-template-hash")
}

// servicesOf are sluice's beside the Service web, of the two versions of a workload.
func servicesOf(kind, workload string, hashes map[string]string, label string) []runtime.Object {
	var objects []runtime.Object
	for name, hash := range hashes {
		objects = append(objects, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: name,
				Labels: map[string]string{canary.WorkloadLabel: workload}, Annotations: map[string]string{"sluice.dev/service": "web"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: workload}},
			},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": workload, label: hash}},
		})
	}
	return objects
}

// live lets time go by while somebody waits, and the pods of a deleted ReplicaSet go.
func (s *session) live(t *testing.T, w *world) {
	t.Helper()
	s.client.PrependReactor("delete", "replicasets", func(k8stesting.Action) (bool, runtime.Object, error) {
		for _, pod := range w.canaryPods() {
			require.NoError(t, s.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, pod.Name))
		}
		return false, nil, nil
	})
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	go func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				if s.clock.HasWaiters() {
					s.clock.Step(500 * time.Millisecond)
				}
			}
		}
	}()
}

func (s *session) route(t *testing.T, kind string) *unstructured.Unstructured {
	t.Helper()
	object, err := s.client.Resource(routeResources[kind]).Namespace(namespace).Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	return object
}

func TestEjectGivesRoutesBack(t *testing.T) {
	tests := map[string]struct {
		kind     string
		weight   int32
		change   func(*world)
		args     []string
		denied   []string
		workload string // that of the record; empty: the Deployment web
		kept     bool   // the route stays as it was
		wantCode int
		want     []string // writes, without those to records
	}{
		"an HTTPRoute that is left paused": {
			kind: "HTTPRoute", weight: 20, args: []string{"deploy/web", "--leave-paused", "--yes"},
			want: []string{"update httproutes", "update deployments", "delete replicasets", "update httproutes", "delete services", "delete services", "update deployments"},
		},
		"an HTTPRoute whose canary has no requests yet": {
			kind: "HTTPRoute", weight: 0, args: []string{"deploy/web", "--revert", "--yes"},
			want: []string{"update deployments", "delete replicasets", "update httproutes", "delete services", "delete services", "update deployments"},
		},
		"an HTTPRoute that is promoted": {
			kind: "HTTPRoute", weight: 20, args: []string{"deploy/web", "--promote", "--yes"},
			want: []string{"update httproutes", "update deployments", "delete replicasets", "delete services", "delete services", "update deployments"},
		},
		"an HTTPRoute behind which the stable version has no pods": {
			kind: "HTTPRoute", weight: 20, args: []string{"deploy/web", "--leave-paused", "--yes"},
			change: func(w *world) {
				for _, pod := range w.pods[:5] {
					breakPod(pod)
				}
			},
			want: []string{"update httproutes", "update deployments", "delete replicasets", "delete services", "delete services", "update deployments"},
		},
		"an Ingress that is left paused": {
			kind: "Ingress", weight: 20, args: []string{"--all", "--leave-paused", "--yes"},
			want: []string{"delete ingresses", "update deployments", "delete replicasets", "update ingresses", "delete services", "delete services", "update deployments", "patch namespaces"},
		},
		"an Ingress that is promoted": {
			kind: "Ingress", weight: 20, args: []string{"deploy/web", "--promote", "--yes"},
			want: []string{"delete ingresses", "update ingresses", "update deployments", "delete replicasets", "delete services", "delete services", "update deployments"},
		},
		"a route of a workload without a release": {
			kind: "HTTPRoute", weight: 20, args: []string{"--all", "--yes"}, change: (*world).end,
			want: []string{"update httproutes", "delete services", "delete services", "patch namespaces"},
		},
		"a route of a workload that does not exist": {
			kind: "HTTPRoute", weight: 20, args: []string{"statefulset/gone", "--yes"}, workload: "StatefulSet/gone",
			want: []string{"update httproutes"},
		},
		"another one's route": {
			kind: "HTTPRoute", weight: 20, args: []string{"deploy/web", "--leave-paused", "--yes"}, workload: "StatefulSet/db", kept: true,
			want: []string{"update deployments", "delete replicasets", "update deployments"},
		},
		"a dry run": {kind: "Ingress", weight: 20, args: []string{"deploy/web", "--leave-paused", "--dry-run"}, kept: true},
		"a dry run for machines": {
			kind: "Ingress", weight: 20, args: []string{"deploy/web", "--leave-paused", "--dry-run", "-o", "json"}, kept: true},
		"permissions are missing": {
			kind: "Ingress", weight: 20, args: []string{"deploy/web", "--leave-paused", "--yes"}, denied: []string{"ingresses", "services"}, kept: true, wantCode: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if test.change != nil {
				test.change(w)
			}
			if test.workload == "" {
				test.workload = "Deployment/web"
			}
			objects := append(append(w.objects(), optedIn()), divide(t, plain(t, test.kind), test.weight, test.workload)...)
			s := newSession(append(objects, ownServices()...)...)
			s.permit(test.denied...)
			s.live(t, w)
			before := s.route(t, test.kind)
			require.Equal(t, test.wantCode, s.run(t, append([]string{"eject"}, test.args...)...), s.err.String())
			golden(t, "eject/routes/"+strings.ReplaceAll(name, " ", "-"), s.out.String()+s.err.String())
			require.Equal(t, test.want, s.writes())
			want := plain(t, test.kind)
			if test.kept {
				want = before
			}
			require.Equal(t, want.Object, s.route(t, test.kind).Object)
		})
	}
}

// TestEjectTakesBackWhatSluiceDoesNot: a webhook without a controller divides a route again by its record, but for the
// write that leaves none.
func TestEjectTakesBackWhatSluiceDoesNot(t *testing.T) {
	w := newWorld()
	divided := divide(t, plain(t, "HTTPRoute"), 20, "Deployment/web")
	s := newSession(append(append(w.objects(), divided...), ownServices()...)...)
	s.permit()
	s.live(t, w)
	s.client.PrependReactor("update", "httproutes", func(action k8stesting.Action) (bool, runtime.Object, error) {
		asked := action.(k8stesting.UpdateAction).GetObject().(*unstructured.Unstructured)
		if asked.GetAnnotations()[split.RecordAnnotation] == "" {
			return false, nil, nil
		}
		return true, divided[0], nil
	})
	require.Zero(t, s.run(t, "eject", "deploy/web", "--leave-paused", "--yes"), s.err.String())
	require.Contains(t, s.out.String(), "waiting for sluice, which is alive, to give back httproute/web")
	require.Equal(t, plain(t, "HTTPRoute").Object, s.route(t, "HTTPRoute").Object)
}

// TestEjectDoesNotWaitForAGatewayForEver: one that accepts nothing may be gone.
func TestEjectDoesNotWaitForAGatewayForEver(t *testing.T) {
	w := newWorld()
	route := plain(t, "HTTPRoute")
	require.NoError(t, unstructured.SetNestedField(route.Object, int64(10), "metadata", "generation"))
	s := newSession(append(append(w.objects(), divide(t, route, 20, "Deployment/web")...), ownServices()...)...)
	s.permit()
	s.live(t, w)
	require.Zero(t, s.run(t, "eject", "deploy/web", "--leave-paused", "--yes"), s.err.String())
	require.Contains(t, s.out.String(), "waiting for the gateway of httproute/web: Gateway edge has not accepted the route yet")
	require.Contains(t, s.out.String(), "note: httproute/web is not waited for any longer")
	require.Equal(t, route.Object, s.route(t, "HTTPRoute").Object)
}

// TestEjectWaitsForEndpointsToFollowPods, but not for long: they may be somebody else's.
func TestEjectWaitsForEndpointsToFollowPods(t *testing.T) {
	w := newWorld()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints:  []discoveryv1.Endpoint{{TargetRef: &corev1.ObjectReference{Kind: "Pod", UID: "gone"}}},
	}
	objects := append(append(w.objects(), slice), divide(t, plain(t, "HTTPRoute"), 20, "Deployment/web")...)
	s := newSession(append(objects, ownServices()...)...)
	s.permit()
	s.live(t, w)
	require.Zero(t, s.run(t, "eject", "deploy/web", "--leave-paused", "--yes"), s.err.String())
	require.Contains(t, s.out.String(), "waiting for the endpoints of its Services, where pods of its canary still stand\n"+
		"deployment.apps/web: httproute/web: requests go to service web again\n")
	require.Equal(t, plain(t, "HTTPRoute").Object, s.route(t, "HTTPRoute").Object)
}

// TestEjectKnowsACanaryIngressThatLostItsLabels by its record.
func TestEjectKnowsACanaryIngressThatLostItsLabels(t *testing.T) {
	w := newWorld()
	divided := divide(t, plain(t, "Ingress"), 20, "Deployment/web")
	divided[1].(metav1.Object).SetLabels(nil)
	s := newSession(append(append(w.objects(), divided...), ownServices()...)...)
	s.permit()
	s.live(t, w)
	require.Zero(t, s.run(t, "eject", "deploy/web", "--leave-paused", "--yes"), s.err.String())
	require.Equal(t, "delete ingresses", s.writes()[0])
	require.Equal(t, plain(t, "Ingress").Object, s.route(t, "Ingress").Object)
}
