package controller

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// requestsFor are requests for workloads of the namespace shop.
func requestsFor(names ...string) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range names {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}})
	}
	return requests
}

func TestADividedRouteWakesTheWorkloadsThatDivideIt(t *testing.T) {
	const web, api = `"web":{"stable":"web-stable","canary":"web-canary","workload":"Deployment/web"}`,
		`"api":{"stable":"api-stable","canary":"api-canary","workload":"Deployment/api"}`
	tests := map[string]struct {
		record string
		want   []string // Deployments
	}{
		"nobody divides it":          {"", nil},
		"a Deployment does":          {"{" + web + "}", []string{"web"}},
		"two do, a Service each":     {"{" + web + "," + api + "}", []string{"web", "api"}},
		"a StatefulSet does":         {strings.ReplaceAll("{"+web+"}", "Deployment", "StatefulSet"), nil},
		"a record that names nobody": {strings.ReplaceAll("{"+web+"}", "Deployment/web", ""), nil},
		"a record of somebody's own": {"yes", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			route := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "front", Annotations: map[string]string{"big": "state"}, Labels: map[string]string{canary.ActiveLabel: "true"},
			}}
			if test.record != "" {
				route.Annotations[split.RecordAnnotation] = test.record
			}
			kept, err := onlyRecord(route)
			require.NoError(t, err)
			require.NotContains(t, route.Annotations, "big", "what does not tell whose it is takes room in the cache")
			require.ElementsMatch(t, requestsFor(test.want...), dividing("Deployment")(t.Context(), kept.(*metav1.PartialObjectMetadata)))
		})
	}
}

func TestEndpointsWakeTheWorkloadBehindThem(t *testing.T) {
	long := strings.Repeat("w", 70)
	of := func(namespace, name string) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	releases := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(of("shop", "web"), of("shop", long), of("blog", "web")).Build()
	tests := map[string]struct {
		namespace, label string
		want             []string
	}{
		"of a workload":                          {"shop", "web", []string{"web"}},
		"of one whose name a label cannot hold":  {"shop", canary.WorkloadLabelValue(long), []string{long}},
		"of one without a release":               {"shop", "api", nil},
		"of one that has its name elsewhere":     {"front", "web", nil},
		"of a Service that is not one of sluice": {"shop", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: test.namespace, Name: "web-canary-x2", Labels: map[string]string{canary.WorkloadLabel: test.label}}}
			require.Equal(t, requestsFor(test.want...), behindEndpoints(releases, deploymentKind)(t.Context(), slice))
		})
	}
}

func TestAServiceOfSluicesWakesItsOwner(t *testing.T) {
	service := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-canary", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, {APIVersion: "example.com/v1", Kind: "Bundle", Name: "front"},
	}}}
	require.Equal(t, requestsFor("web"), ownersOf("Deployment")(t.Context(), service))
	require.Empty(t, ownersOf("StatefulSet")(t.Context(), service))
}
