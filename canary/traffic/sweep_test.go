package traffic

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// swept is the workload as it is known when it has no release, or is gone.
func swept(w *world) {
	w.workload = Workload{Kind: w.workload.Kind, Namespace: "shop", Name: w.workload.Name, HashLabel: w.workload.HashLabel}
}

func TestNothingIsLeftOfADivision(t *testing.T) {
	for name, route := range kindsOfRoutes() {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, serviceOf("web"), route, nginx())
			before := content(w.route(route))
			w.divide(20)
			swept(w)
			writes := w.sweep()
			require.Equal(t, []string{"delete web-canary", "delete web-stable"}, writes[len(writes)-2:], "the Services go last: %v", writes)
			require.Equal(t, before, content(w.route(route)))
			require.Equal(t, []string{"web"}, w.serviceNames())
			require.Empty(t, w.sweep())
		})
	}
}

// TestARouteOfAWorkloadThatWasDeletedInMidRelease: the garbage collector takes the Services before anybody has given the
// route back, and a workload of the same name would get no requests.
func TestARouteOfAWorkloadThatWasDeletedInMidRelease(t *testing.T) {
	for name, route := range kindsOfRoutes() {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, serviceOf("web"), route, nginx())
			before := content(w.route(route))
			w.divide(20)
			for _, own := range []string{"web-stable", "web-canary"} {
				require.NoError(t, w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: keyOf(own)}))
			}
			swept(w)
			restarted := New(w.client, func() time.Time { return w.now })
			w.Router = restarted
			w.sweep()
			require.Equal(t, before, content(w.route(route)))
			require.Empty(t, w.sweep())
		})
	}
}

func TestACanaryIngressWithoutItsMainOneIsTakenAway(t *testing.T) {
	main := ingressOf("nginx", "a", "web")
	w := makeWorld(t, serviceOf("web"), main, nginx())
	w.divide(20)
	require.NoError(t, w.client.Delete(t.Context(), w.route(main)))
	swept(w)
	require.Equal(t, "delete a-web-canary", w.sweep()[0])
	require.Equal(t, []string{"web"}, w.serviceNames())
}

func TestWhatIsOthersStays(t *testing.T) {
	blog := httpRoute("blog", "blog")
	w := makeWorld(t, serviceOf("web"), serviceOf("blog", "app", "blog"), httpRoute("a", "web"), blog, serviceOf("x-stable", "app", "x"))
	w.divide(20)
	mine := w.workload
	w.workload.Name, w.workload.Owner.Name = "blog", "blog"
	w.workload.Labels, w.workload.Selector = map[string]string{"app": "blog"}, nil
	w.workload.Selector = web().Selector
	w.divide(30)
	want := content(w.route(blog))
	w.workload = mine
	swept(w)
	w.sweep()
	require.Equal(t, want, content(w.route(blog)))
	require.Equal(t, []string{"blog", "blog-canary", "blog-stable", "web", "x-stable"}, w.serviceNames())

	w.workload.Kind = "StatefulSet"
	w.workload.Name = "blog"
	require.Empty(t, w.sweep(), "a StatefulSet of the same name is another workload")
}

// TestARouteIsGivenBackOnceTheServiceListsNoPodOfTheCanary: its endpoints follow with a delay of their own. Pods that a
// native rollout makes meanwhile are not waited for.
func TestARouteIsGivenBackOnceTheServiceListsNoPodOfTheCanary(t *testing.T) {
	pod := func(uid string) *corev1.Pod {
		made := podOf(uid, corev1.PodRunning, "app", "web", "pod-template-hash", "x")
		made.UID = types.UID(uid)
		return made
	}
	ending := pod("other-0")
	ending.DeletionTimestamp, ending.Finalizers = &metav1.Time{Time: time.Now()}, []string{"test/stays"}
	tests := map[string]struct {
		canary int // ready pods of the canary's Service
		others []client.Object
		waits  bool
	}{
		"the canary's pods are there":     {canary: 1, others: []client.Object{pod("other-0")}, waits: true},
		"they are being deleted":          {others: []client.Object{ending}, waits: true},
		"they are gone":                   {waits: true},
		"others are there that will stay": {others: []client.Object{pod("other-0")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			route := httpRoute("a", "web")
			objects := slices.Concat(behind("web", "other", 1), endpointsOf("web-stable", 2), endpointsOf("web-canary", test.canary), behind("web", "web-stable", 2))
			w := makeWorld(t, slices.Concat(objects, test.others, []client.Object{serviceOf("web"), route, pod("web-stable-0"), pod("web-stable-1")})...)
			before := content(w.route(route))
			w.divide(0)
			divided := w.route(route)
			divided.SetCreationTimestamp(metav1.Time{Time: w.now})
			require.NoError(t, w.client.Update(t.Context(), divided))
			swept(w)
			look := func() {
				again, err := w.Sweep(t.Context(), w.workload)
				require.NoError(t, err)
				require.True(t, again)
			}
			look()
			if !test.waits {
				require.Equal(t, before, content(w.route(route)))
				return
			}
			require.NotEqual(t, before, content(w.route(route)))
			w.now = w.now.Add(settles)
			look()
			require.Equal(t, before, content(w.route(route)), "not for ever")
		})
	}
}

// TestTheServicesStayAsLongAsAGatewayMayLag: until it has accepted the route, at most a minute; five seconds where it
// does not say.
func TestTheServicesStayAsLongAsAGatewayMayLag(t *testing.T) {
	tests := map[string]struct {
		kind  string
		stale bool
		want  time.Duration
	}{
		"a gateway that accepted the route": {kind: "HTTPRoute"},
		"a gateway that did not yet":        {kind: "HTTPRoute", stale: true, want: time.Minute},
		"nginx does not say":                {kind: "Ingress", want: 5 * time.Second},
		"Istio does not say":                {kind: "VirtualService", want: 5 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			route := kindsOfRoutes()[test.kind]
			w := makeWorld(t, serviceOf("web"), route, nginx())
			w.divide(20)
			w.steer(nil)
			given := w.route(route)
			given.SetCreationTimestamp(metav1.Time{Time: w.now})
			if test.stale {
				given.SetGeneration(2)
			}
			require.NoError(t, w.client.Update(t.Context(), given))
			swept(w)
			if test.want > 0 {
				w.now = given.GetCreationTimestamp().Add(test.want - time.Second)
				again, err := w.Sweep(t.Context(), w.workload)
				require.NoError(t, err)
				require.True(t, again)
				require.Len(t, w.serviceNames(), 3)
			}
			w.now = given.GetCreationTimestamp().Add(test.want)
			again, err := w.Sweep(t.Context(), w.workload)
			require.NoError(t, err)
			require.False(t, again)
			require.Equal(t, []string{"web"}, w.serviceNames())
		})
	}
}

func TestAbsentDefinitionsAreAskedForEveryHalfMinute(t *testing.T) {
	w := makeWorldWithout(t, []schema.GroupKind{split.VirtualService, split.ApisixRoute}, serviceOf("web"), httpRoute("a", "web"))
	misses := func() int { return w.mapper.misses[split.VirtualService] + w.mapper.misses[split.ApisixRoute] }
	before := misses()
	for range 5 {
		require.Equal(t, []string{"httproute/a"}, w.look().State.Found.Routes, "it is no error")
	}
	require.Equal(t, before+2, misses())
	w.now = w.now.Add(absentFor - time.Second)
	w.look()
	require.Equal(t, before+2, misses())
	w.now = w.now.Add(time.Second)
	w.look()
	require.Equal(t, before+4, misses())
}

func TestAWebhookThatIsDownIsWaitedForBeforeTheServicesGo(t *testing.T) {
	route := ingressOf("nginx", "a", "web")
	w := makeWorld(t, serviceOf("web"), route, nginx())
	before := content(w.route(route))
	w.divide(20)
	swept(w)
	w.webhookIsDown = true
	for range 5 {
		_, err := w.Sweep(t.Context(), w.workload)
		require.ErrorContains(t, err, "did not answer")
	}
	require.Len(t, w.serviceNames(), 3)
	w.webhookIsDown = false
	w.sweep()
	require.Equal(t, before, content(w.route(route)))
	list := &networkingv1.IngressList{}
	require.NoError(t, w.client.List(t.Context(), list))
	require.Len(t, list.Items, 1)
	require.Empty(t, list.Items[0].Labels[canary.ActiveLabel])
}
