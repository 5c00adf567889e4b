package traffic

import (
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// kindsOfRoutes are one of each kind, to the Service web.
func kindsOfRoutes() map[string]*unstructured.Unstructured {
	grpc := httpRoute("a", "web")
	grpc.SetKind("GRPCRoute")
	return map[string]*unstructured.Unstructured{
		"HTTPRoute": httpRoute("a", "web"), "GRPCRoute": grpc, "VirtualService": virtualService("a", "web"),
		"ApisixRoute": apisixRoute("a", "web"), "Ingress": ingressOf("nginx", "a", "web"),
	}
}

func TestARouteIsDividedAndGivenBackAsItWas(t *testing.T) {
	for name, route := range kindsOfRoutes() {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, serviceOf("web"), route, nginx())
			before := content(w.route(route))
			w.divide(20)
			require.Equal(t, &canary.Share{Weight: 20}, w.look().State.Routes[0].Share)
			require.Equal(t, "true", w.route(route).GetLabels()[canary.ActiveLabel])
			w.steer(&canary.Share{Weight: 50, Match: "header:x-canary=yes"})
			require.Equal(t, &canary.Share{Weight: 50, Match: "header:x-canary=yes"}, w.look().State.Routes[0].Share)
			require.Empty(t, w.steer(&canary.Share{Weight: 50, Match: "header:x-canary=yes"}), "the same again")
			w.steer(nil)
			require.Equal(t, before, content(w.route(route)))
			require.Nil(t, w.look().State.Routes[0].Share)
		})
	}
}

func TestTheOrderOfAnIngress(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), ingressOf("nginx", "a", "web"), nginx())
	w.stand()
	require.Equal(t, []string{"patch ingress/a", "create a-web-canary"}, w.steer(&canary.Share{Weight: 20}))
	require.Equal(t, []string{"update a-web-canary"}, w.steer(&canary.Share{Weight: 50}))
	require.Equal(t, []string{"patch ingress/a", "delete a-web-canary"}, w.steer(nil))
}

func TestTwoServicesOnOneRouteAndOneServiceOnTwo(t *testing.T) {
	both, one := httpRoute("both", "web", "admin"), httpRoute("one", "web")
	w := makeWorld(t, serviceOf("web"), serviceOf("admin", "tier", "front"), both, one)
	before := content(w.route(both)) + content(w.route(one))
	w.divide(20)
	require.Equal(t, []string{"admin", "admin-canary", "admin-stable", "web", "web-canary", "web-stable"}, w.serviceNames())
	require.Len(t, split.Recorded(w.route(both)), 2)
	require.Equal(t, []string{"patch httproute/both", "patch httproute/both", "patch httproute/one"}, w.steer(&canary.Share{Weight: 40}))
	w.steer(nil)
	require.Equal(t, before, content(w.route(both))+content(w.route(one)))
}

func TestAWebhookThatDoesNotAnswer(t *testing.T) {
	for name, route := range kindsOfRoutes() {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, serviceOf("web"), route, nginx())
			before := content(w.route(route))
			w.stand()
			w.webhookIsDown = true
			const undivided = "was not divided when sluice asked for it: the webhook routes.sluice.dev did not answer"
			for range 2 {
				require.ErrorContains(t, w.Steer(t.Context(), w.look(), &canary.Share{Weight: 20}), undivided)
				require.True(t, w.look().State.Routes[0].Differs, "nothing counts as divided")
			}
			w.webhookIsDown = false
			w.steer(&canary.Share{Weight: 20})

			w.webhookIsDown = true
			for range 2 {
				require.ErrorContains(t, w.Steer(t.Context(), w.look(), nil), undivided)
				require.True(t, w.look().State.Routes[0].Differs, "nothing counts as given back")
			}
			w.webhookIsDown = false
			require.Equal(t, "patch "+nameOf(route), w.steer(nil)[0], "the same request again")
			require.Equal(t, before, content(w.route(route)))
		})
	}
}

func TestACanaryIngressThatSomebodyTouches(t *testing.T) {
	key := metav1.ObjectMeta{Namespace: "shop", Name: "a-web-canary"}
	tests := map[string]func(t *testing.T, w *world, ingress *networkingv1.Ingress) error{
		"deleted": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			return w.client.Delete(t.Context(), ingress)
		},
		"another weight": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			ingress.Annotations["nginx.ingress.kubernetes.io/canary-weight"] = "100"
			return w.client.Update(t.Context(), ingress)
		},
		"a header": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			ingress.Annotations["nginx.ingress.kubernetes.io/canary-by-header"] = "x"
			return w.client.Update(t.Context(), ingress)
		},
		"no canary": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			delete(ingress.Annotations, "nginx.ingress.kubernetes.io/canary")
			return w.client.Update(t.Context(), ingress)
		},
		"without record": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			delete(ingress.Annotations, split.RecordAnnotation)
			return w.client.Update(t.Context(), ingress)
		},
		"without labels": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			ingress.Labels = nil
			return w.client.Update(t.Context(), ingress)
		},
		"another host": func(t *testing.T, w *world, ingress *networkingv1.Ingress) error {
			ingress.Spec.Rules[0].Host = "other.example.com"
			return w.client.Update(t.Context(), ingress)
		},
	}
	for name, touch := range tests {
		t.Run(name, func(t *testing.T) {
			main := ingressOf("nginx", "a", "web")
			w := makeWorld(t, serviceOf("web"), main, nginx())
			before := content(w.route(main))
			w.divide(20)
			want := w.get(&networkingv1.Ingress{ObjectMeta: key}).(*networkingv1.Ingress)
			require.NoError(t, touch(t, w, want.DeepCopy()))
			require.Len(t, w.look().State.Routes, 1)
			w.steer(&canary.Share{Weight: 20})
			is := w.get(&networkingv1.Ingress{ObjectMeta: key}).(*networkingv1.Ingress)
			require.Equal(t, want.Spec, is.Spec)
			require.Equal(t, want.Annotations, is.Annotations)
			w.steer(nil)
			require.Equal(t, before, content(w.route(main)))
		})
	}
}

func TestARouteThatIsReplacedInMidRelease(t *testing.T) {
	route := httpRoute("a", "web")
	w := makeWorld(t, serviceOf("web"), route)
	w.divide(20)
	require.NoError(t, w.client.Delete(t.Context(), w.route(route)))
	require.Empty(t, w.look().State.Routes)
	require.NoError(t, w.client.Create(t.Context(), unaccepted(httpRoute("a", "web"))))
	v := w.look()
	require.Empty(t, v.State.Routes)
	require.Equal(t, []string{"httproute/a is not divided: Gateway gate has not taken up the route"}, v.State.Found.Notes)
	require.NoError(t, w.client.Delete(t.Context(), w.route(route)))
	require.NoError(t, w.client.Create(t.Context(), httpRoute("a", "web")))
	require.Equal(t, []string{"patch httproute/a"}, w.steer(&canary.Share{Weight: 20}))
}
