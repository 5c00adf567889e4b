package traffic

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

func TestWhatIsFound(t *testing.T) {
	withType := func(s *corev1.Service, kind corev1.ServiceType) *corev1.Service { s.Spec.Type = kind; return s }
	headless := serviceOf("web")
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	long := strings.Repeat("w", 63)
	dividedBy := func(route *unstructured.Unstructured, workload string) *unstructured.Unstructured {
		result, err := providerOf(route).Split(route, split.Share{Names: split.NamesOf("web"), Weight: 20, Workload: workload})
		require.NoError(t, err)
		return result.Route
	}
	tests := map[string]struct {
		traffic     string // the annotation
		objects     []client.Object
		want        *canary.Found
		wantParts   int
		wantBlocked string
	}{
		"nothing": {},
		"a Service without a route": {
			objects: []client.Object{serviceOf("web")},
		},
		"a route of each kind": {
			objects: []client.Object{
				serviceOf("web"), httpRoute("a", "web"), virtualService("b", "web"), apisixRoute("c", "web"), ingressOf("nginx", "d", "web"), nginx(),
			},
			want:      &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/a", "ingress/d", "virtualservice/b", "apisixroute/c"}},
			wantParts: 4,
		},
		"two Services on one route, and one of them on two": {
			objects:   []client.Object{serviceOf("web"), serviceOf("admin", "tier", "front"), httpRoute("both", "web", "admin"), httpRoute("one", "web")},
			want:      &canary.Found{Services: []string{"admin", "web"}, Routes: []string{"httproute/both", "httproute/one"}},
			wantParts: 3,
		},
		"a route to another Service": {
			objects: []client.Object{serviceOf("web"), serviceOf("db", "app", "db"), httpRoute("db", "db")},
		},
		"a Service that selects another workload's pods too": {
			objects: []client.Object{serviceOf("web", "tier", "front"), podOf("blog-1", corev1.PodRunning, "tier", "front", "app", "blog"), httpRoute("a", "web")},
			want: &canary.Found{Services: []string{"web"}, Notes: []string{
				"httproute/a is not divided: Service web also selects pods that are not of Deployment/web",
			}},
		},
		"a Service that selects a pod of a Job that is over": {
			objects: []client.Object{
				serviceOf("web", "tier", "front"), podOf("migrate-1", corev1.PodSucceeded, "tier", "front"),
				podOf("migrate-0", corev1.PodFailed, "tier", "front"), httpRoute("a", "web"),
			},
			want: &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/a"}}, wantParts: 1,
		},
		"a Service of another name elsewhere": {
			objects: []client.Object{withType(serviceOf("web"), corev1.ServiceTypeExternalName), httpRoute("a", "web")},
		},
		"a Service without a selector": {
			objects: []client.Object{serviceOf("web", ""), httpRoute("a", "web")},
		},
		"a headless Service": {
			objects: []client.Object{headless, httpRoute("a", "web")},
			want:    &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/a"}}, wantParts: 1,
		},
		"a Service with the longest name": {
			objects: []client.Object{serviceOf(long), httpRoute("a", long)},
			want:    &canary.Found{Services: []string{long}, Routes: []string{"httproute/a"}}, wantParts: 1,
		},
		"a route that its gateway has not accepted": {
			objects: []client.Object{serviceOf("web"), unaccepted(httpRoute("a", "web")), httpRoute("b", "web")},
			want: &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/b"}, Notes: []string{
				"httproute/a is not divided: Gateway gate has not taken up the route",
			}},
			wantParts: 1,
		},
		"a route that another workload's release divides": {
			objects: []client.Object{serviceOf("web"), dividedBy(httpRoute("a", "web"), "StatefulSet/web")},
			want: &canary.Found{Services: []string{"web"}, Notes: []string{
				"httproute/a is not divided: the release of StatefulSet/web divides it",
			}},
		},
		"somebody's Service has the name of sluice's": {
			objects:     []client.Object{serviceOf("web"), serviceOf("web-stable", "app", "old"), httpRoute("a", "web")},
			wantBlocked: "Service web-stable exists and is not sluice's: delete or rename it, since sluice needs the name",
		},
		"the annotation says none": {
			traffic: "none",
			objects: []client.Object{serviceOf("web"), serviceOf("web-stable", "app", "old"), httpRoute("a", "web")},
		},
		"the annotation names one of two": {
			traffic: "httproute/b",
			objects: []client.Object{serviceOf("web"), httpRoute("a", "web"), httpRoute("b", "web")},
			want: &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/b"}, Notes: []string{
				"httproute/a is not divided: sluice.dev/traffic does not name it",
			}},
			wantParts: 1,
		},
		"the annotation names one that is not there": {
			traffic:     "httproute/b",
			objects:     []client.Object{serviceOf("web"), httpRoute("a", "web")},
			want:        &canary.Found{Services: []string{"web"}, Notes: []string{"httproute/a is not divided: sluice.dev/traffic does not name it"}},
			wantBlocked: "httproute/b of annotation sluice.dev/traffic cannot be divided: namespace shop has no such route to a Service that selects the pods of Deployment/web",
		},
		"the annotation names one, and no Service selects the pods": {
			traffic:     "httproute/a",
			objects:     []client.Object{serviceOf("web", "app", "other"), httpRoute("a", "web")},
			wantBlocked: "httproute/a of annotation sluice.dev/traffic cannot be divided: namespace shop has no such route to a Service that selects the pods of Deployment/web",
		},
		"the annotation names one that cannot be divided": {
			traffic: "httproute/a",
			objects: []client.Object{serviceOf("web"), unaccepted(httpRoute("a", "web"))},
			want: &canary.Found{Services: []string{"web"}, Notes: []string{
				"httproute/a is not divided: Gateway gate has not taken up the route",
			}},
			wantBlocked: "httproute/a of annotation sluice.dev/traffic cannot be divided: Gateway gate has not taken up the route",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, test.objects...)
			w.workload.Policy.Traffic = test.traffic
			v := w.look()
			require.Equal(t, test.want, v.State.Found)
			require.Equal(t, test.wantBlocked, v.State.Blocked)
			require.Len(t, v.parts, test.wantParts)
			require.Len(t, v.State.Routes, test.wantParts)
			require.Empty(t, w.writes)

			w.backwards = true
			again := w.look()
			require.Equal(t, v.State, again.State, "the order of lists does not matter")
		})
	}
}

// TestWhatAReleaseDividesStaysItsOwn: else a promotion that gives a route back would find it refused, and call it gone.
func TestWhatAReleaseDividesStaysItsOwn(t *testing.T) {
	for name, objects := range map[string][]client.Object{
		"something is bound to the Service": {serviceOf("web"), tlsPolicy("tls", "web")},
		"the Service selects others, too":   {serviceOf("web", "tier", "front"), podOf("blog-1", corev1.PodRunning, "tier", "front", "app", "blog")},
	} {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, append(objects, httpRoute("a", "web"))...)
			require.Empty(t, w.look().State.Routes)
			w.workload.Divided = []string{"httproute/a"}
			require.Len(t, w.look().State.Routes, 1)
			require.Empty(t, w.look().State.Blocked)
		})
	}
}

func TestWhichIngressesAreDivided(t *testing.T) {
	const old = "kubernetes.io/ingress.class"
	const other = "its class other is of the controller example.com/other, and a share can be given to k8s.io/ingress-nginx only"
	tests := map[string]struct {
		ingress *unstructured.Unstructured
		classes []client.Object
		wantNot string // empty: it is
	}{
		"of the class":                 {ingress: ingressOf("nginx", "a", "web"), classes: []client.Object{nginx()}},
		"of another class":             {ingress: ingressOf("other", "a", "web"), classes: []client.Object{nginx(), class("other", "example.com/other")}, wantNot: other},
		"of a class that is not there": {ingress: ingressOf("other", "a", "web"), classes: []client.Object{nginx()}, wantNot: "there is no IngressClass other"},
		"of no class":                  {ingress: ingressOf("", "a", "web"), classes: []client.Object{nginx()}, wantNot: "it names no class, and there is no default one"},
		"of no class, and the default one is nginx's": {ingress: ingressOf("", "a", "web"), classes: []client.Object{byDefault(class("nginx", nginxController))}},
		"of no class, and the default one is not":     {ingress: ingressOf("", "a", "web"), classes: []client.Object{nginx(), byDefault(class("other", "example.com/other"))}, wantNot: other},
		"by the old annotation":                       {ingress: annotated(ingressOf("", "a", "web"), old, "nginx")},
		"by the old annotation, of another class":     {ingress: annotated(ingressOf("", "a", "web"), old, "other"), classes: []client.Object{class("other", "example.com/other")}, wantNot: other},
		"by the old annotation, of a class of nginx's": {
			ingress: annotated(ingressOf("", "a", "web"), old, "inside"), classes: []client.Object{class("inside", nginxController)},
		},
		"a canary of its people's": {
			ingress: annotated(ingressOf("nginx", "a", "web"), "nginx.ingress.kubernetes.io/canary", "true"), classes: []client.Object{nginx()},
			wantNot: "metadata.annotations: this is a canary Ingress of another one by nginx.ingress.kubernetes.io/canary, and nginx knows no canary of a canary",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, append(test.classes, serviceOf("web"), test.ingress)...)
			found := w.look().State.Found
			if test.wantNot == "" {
				require.Equal(t, &canary.Found{Services: []string{"web"}, Routes: []string{"ingress/a"}}, found)
				return
			}
			require.Equal(t, &canary.Found{Services: []string{"web"}, Notes: []string{"ingress/a is not divided: " + test.wantNot}}, found)
		})
	}
}

func TestAnIngressOfSomebodysHasTheNameOfACanary(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), ingressOf("nginx", "a", "web"), ingressOf("nginx", "a-web-canary", "other"), nginx())
	require.Equal(t, []string{"ingress/a is not divided: Ingress a-web-canary exists and is not sluice's, which needs the name"}, w.look().State.Found.Notes)
}

// TestACanaryIngressIsAPartOfItsRoute: a new weight writes nothing else, and the canary's pods wait for that write to
// be taken up.
func TestACanaryIngressIsAPartOfItsRoute(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), ingressOf("nginx", "a", "web"), nginx())
	w.divide(20)
	canaryIngress := w.get(&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a-web-canary"}})
	canaryIngress.SetCreationTimestamp(metav1.Time{Time: w.now})
	require.NoError(t, w.client.Update(t.Context(), canaryIngress))
	require.True(t, w.now.Equal(w.look().State.Routes[0].Changed))
}
