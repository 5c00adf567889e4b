package traffic

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// endedElsewhere is a workload whose release somebody else ended just now, long after its route was written: everything goes to
// the stable version.
func (w *world) endedElsewhere(weight int32) (route *unstructured.Unstructured, before string) {
	route = httpRoute("a", "web")
	require.NoError(w.t, w.client.Create(w.t.Context(), route))
	before = content(w.route(route))
	w.divide(weight)
	w.now = w.now.Add(time.Hour)
	swept(w)
	w.workload.Written = w.now
	return route, before
}

func (w *world) sweepOnce() Left {
	w.t.Helper()
	left, err := w.Sweep(w.t.Context(), w.workload)
	require.NoError(w.t, err)
	return left
}

// podIn is one of the version whose pod-template-hash is given.
func podIn(uid, hash string) *corev1.Pod {
	made := podOf(uid, corev1.PodRunning, "app", "web", "pod-template-hash", hash)
	made.UID = types.UID(uid)
	return made
}

// TestARouteIsGivenBackOnceTheServiceListsTheStableVersion, and no pod of the canary: its endpoints follow pods with a
// delay of their own. That is waited for as long as anything changes, but for a minute. Pods that a native rollout makes
// meanwhile are not waited for.
func TestARouteIsGivenBackOnceTheServiceListsTheStableVersion(t *testing.T) {
	ending := podIn("other-0", "bbb")
	ending.DeletionTimestamp, ending.Finalizers = &metav1.Time{Time: time.Date(2026, 11, 22, 13, 0, 30, 0, time.UTC)}, []string{"test/stays"}
	ending.DeletionGracePeriodSeconds = new(int64(30)) // it was deleted when the release was ended
	stable := slices.Concat(endpointsOf("web-stable", 2), []client.Object{podIn("web-stable-0", "aaa"), podIn("web-stable-1", "aaa")})
	both, alone := behind("web", "other", 1), behind("web", "web-stable", 2)
	tests := map[string]struct {
		objects []client.Object
		at      func(w *world)
		early   bool
	}{
		"the canary's pods are there":            {objects: slices.Concat(stable, alone, both, []client.Object{podIn("other-0", "bbb")}), early: true},
		"they are not listed yet":                {objects: slices.Concat(stable, alone, []client.Object{podIn("other-0", "bbb")}), early: true},
		"they are being deleted, and listed":     {objects: slices.Concat(stable, alone, both, []client.Object{ending}), early: true},
		"they are gone, and listed":              {objects: slices.Concat(stable, alone, both), early: true},
		"nobody is listed":                       {objects: stable, early: true},
		"they are being deleted, and not listed": {objects: slices.Concat(stable, alone, []client.Object{ending})},
		"others are there that will stay":        {objects: slices.Concat(stable, alone, both, []client.Object{podIn("other-0", "ccc")})},
		"the canary's version was promoted": {objects: slices.Concat(stable, alone, both, []client.Object{podIn("other-0", "bbb")}),
			at: func(w *world) { w.workload.GoesOn = true }},
		"the stable version has no pods": {objects: slices.Concat(both, []client.Object{podIn("other-0", "bbb")})},
		"the stable version's Service is gone": {objects: slices.Concat(stable, alone, both),
			at: func(w *world) {
				require.NoError(t, w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: keyOf("web-stable")}))
			}},
		"the user's Service is gone": {objects: stable,
			at: func(w *world) {
				require.NoError(t, w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: keyOf("web")}))
			}},
		"it selects others now": {objects: slices.Concat(stable, behind("web", "other", 1), []client.Object{func() client.Object {
			pod := podOf("other-0", corev1.PodRunning, "app", "new")
			pod.UID = "other-0"
			return pod
		}()}), at: func(w *world) {
			user := w.get(&corev1.Service{ObjectMeta: keyOf("web")}).(*corev1.Service)
			user.Spec.Selector = map[string]string{"app": "new"}
			require.NoError(t, w.client.Update(t.Context(), user))
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := append([]client.Object{serviceOf("web")}, clones(test.objects)...)
			w := makeWorld(t, objects...)
			route, before := w.endedElsewhere(0)
			if test.at != nil {
				test.at(w)
			}
			left := w.sweepOnce()
			if !test.early {
				require.Equal(t, Requests, left, "of its gateway")
				require.Equal(t, before, content(w.route(route)))
				return
			}
			require.Equal(t, Routes, left)
			w.now = w.now.Add(goes - time.Second)
			require.Equal(t, Routes, w.sweepOnce())
			require.NotEqual(t, before, content(w.route(route)))
			w.now = w.now.Add(time.Second)
			w.sweepOnce()
			require.Equal(t, before, content(w.route(route)), "not for ever")
		})
	}
}

// clones are copies, since tests share what they are made of.
func clones(of []client.Object) []client.Object {
	var copies []client.Object
	for _, o := range of {
		copies = append(copies, o.DeepCopyObject().(client.Object))
	}
	return copies
}

// TestACanarysPodsStayUntilNothingIsSentThere: first the routes send everything to the stable version, and their
// gateways have had their time for it.
func TestACanarysPodsStayUntilNothingIsSentThere(t *testing.T) {
	w := makeWorld(t, clones(slices.Concat([]client.Object{serviceOf("web"), podIn("web-stable-0", "aaa"), podIn("other-0", "bbb")},
		endpointsOf("web-stable", 1), endpointsOf("web-canary", 1), behind("web", "web-stable", 1)))...)
	route, _ := w.endedElsewhere(20)
	require.Equal(t, Requests, w.sweepOnce())
	require.Zero(t, split.Recorded(w.route(route))["web"].Weight)
	written := w.route(route)
	written.SetCreationTimestamp(metav1.Time{Time: w.now})
	require.NoError(t, w.client.Update(t.Context(), written))
	w.now = w.now.Add(canary.TakesUp - time.Second)
	require.Equal(t, Requests, w.sweepOnce())
	w.now = w.now.Add(time.Second)
	require.Equal(t, Routes, w.sweepOnce())
}

// TestWhatIsLeftOfADivisionSendsNothingToACanaryWhosePodsGo: the main Ingress was given back already.
func TestWhatIsLeftOfADivisionSendsNothingToACanaryWhosePodsGo(t *testing.T) {
	main := ingressOf("nginx", "a", "web")
	w := makeWorld(t, clones(slices.Concat([]client.Object{serviceOf("web"), main, nginx(), podIn("web-stable-0", "aaa"), podIn("other-0", "bbb")},
		endpointsOf("web-stable", 1), endpointsOf("web-canary", 1), behind("web", "web-stable", 1)))...)
	w.divide(20)
	require.NoError(t, w.Steer(t.Context(), w.look(), nil))
	swept(w)
	w.workload.Written = w.now
	for w.sweepOnce() == Requests {
		w.now = w.now.Add(time.Second)
	}
	require.Contains(t, split.Recorded(w.route(main)), "web", "everything goes to the stable version once more")
	w.sweepOnce()
	left := &networkingv1.IngressList{}
	require.NoError(t, w.client.List(t.Context(), left))
	for _, ingress := range left.Items {
		require.Contains(t, []string{"", "0"}, ingress.Annotations["nginx.ingress.kubernetes.io/canary-weight"], ingress.Name)
	}
}

// TestTheServicesStayAsLongAsAGatewayMayLag: until it has accepted the route, at most a minute, and two seconds in any
// case; five seconds where it does not say.
func TestTheServicesStayAsLongAsAGatewayMayLag(t *testing.T) {
	tests := map[string]struct {
		kind  string
		stale bool
		want  time.Duration
	}{
		"a gateway that accepted the route": {kind: "HTTPRoute", want: 2 * time.Second},
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
			w.now = given.GetCreationTimestamp().Add(test.want - time.Second)
			require.Equal(t, Requests, w.sweepOnce())
			require.Len(t, w.serviceNames(), 3)
			w.now = given.GetCreationTimestamp().Add(test.want)
			require.Equal(t, Nothing, w.sweepOnce())
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
