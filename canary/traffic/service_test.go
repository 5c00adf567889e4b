package traffic

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

func keyOf(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "shop", Name: name} }

func TestTheServicesOfTheTwoVersions(t *testing.T) {
	user := serviceOf("web")
	user.Spec.Type, user.Spec.ClusterIP, user.Spec.PublishNotReadyAddresses = corev1.ServiceTypeLoadBalancer, "10.96.0.1", true
	user.Annotations = map[string]string{"traefik.ingress.kubernetes.io/service.sticky.cookie": "true", "external-dns.alpha.kubernetes.io/hostname": "web"}
	w := makeWorld(t, user, httpRoute("a", "web"))
	v := w.look()
	require.True(t, v.State.Missing)
	require.False(t, v.State.Unnamed)
	w.stand()
	require.Equal(t, []string{"create web-stable", "create web-canary"}, w.writes, "one at a time")
	for name, hash := range map[string]string{"web-stable": "aaa", "web-canary": "bbb"} {
		own := w.get(&corev1.Service{ObjectMeta: keyOf(name)}).(*corev1.Service)
		require.Equal(t, corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, PublishNotReadyAddresses: true,
			Selector: map[string]string{"app": "web", "pod-template-hash": hash},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 81}},
		}, own.Spec)
		require.Equal(t, map[string]string{"sluice.dev/service": "web", "traefik.ingress.kubernetes.io/service.sticky.cookie": "true"}, own.Annotations)
		require.Equal(t, []metav1.OwnerReference{w.workload.Owner}, own.OwnerReferences)
	}
	w.writes = nil
	w.stand()
	require.Empty(t, w.writes)
	require.Equal(t, user.Spec, w.get(&corev1.Service{ObjectMeta: keyOf("web")}).(*corev1.Service).Spec, "the user's is never changed")
}

func TestServicesThatHaveToBeMended(t *testing.T) {
	change := func(name string, by func(*corev1.Service)) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			s := w.get(&corev1.Service{ObjectMeta: keyOf(name)}).(*corev1.Service)
			by(s)
			require.NoError(t, w.client.Update(t.Context(), s))
		}
	}
	tests := map[string]struct {
		change     func(*testing.T, *world)
		wantAstray bool
		want       []string
	}{
		"the user's has another port": {
			change: change("web", func(s *corev1.Service) {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "new", Port: 90})
			}),
			want: []string{"update web-stable", "update web-canary"},
		},
		"the user's selects by another label": {
			change: change("web", func(s *corev1.Service) { s.Spec.Selector["tier"] = "front" }),
			want:   []string{"update web-stable", "update web-canary"},
		},
		"one lost its ports to somebody": {
			change: change("web-stable", func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] }),
			want:   []string{"update web-stable"},
		},
		"one is deleted": {
			change: func(t *testing.T, w *world) {
				require.NoError(t, w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: keyOf("web-stable")}))
			},
			want: []string{"create web-stable"},
		},
		"another canary": {
			change: func(_ *testing.T, w *world) { w.workload.Canary = "ccc" }, wantAstray: true,
			want: []string{"update web-canary"},
		},
		"another canary, and another port": {
			change: func(t *testing.T, w *world) {
				w.workload.Canary = "ccc"
				change("web", func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] })(t, w)
			},
			wantAstray: true,
			want:       []string{"update web-stable", "update web-canary", "update web-canary"},
		},
		"another stable version": {
			change: func(_ *testing.T, w *world) { w.workload.Stable = "ccc" },
			want:   []string{"update web-stable"},
		},
		"a version that is not known": {
			change: func(_ *testing.T, w *world) { w.workload.Stable, w.workload.Canary = "", "" },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, serviceOf("web"), httpRoute("a", "web"))
			w.divide(20)
			test.change(t, w)
			w.writes = nil
			require.Equal(t, test.wantAstray, w.look().State.Astray)
			w.stand()
			require.Equal(t, test.want, w.writes)
		})
	}
}

func TestAVersionThatIsNotKnownIsWaitedFor(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), httpRoute("a", "web"))
	w.workload.Canary = ""
	require.True(t, w.look().State.Unnamed)
}

// TestSomebodysServiceOfOurName: what it is stays, and so do routes of its people.
func TestSomebodysServiceOfOurName(t *testing.T) {
	route := httpRoute("a", "web", "web-canary")
	w := makeWorld(t, serviceOf("web"), serviceOf("web-canary", "app", "theirs"), route)
	before := content(w.route(route))
	v := w.look()
	require.Equal(t, "Service web-canary exists and is not sluice's: delete or rename it, since sluice needs the name", v.State.Blocked)
	require.Empty(t, v.State.Routes, "so that nothing of theirs is taken for sluice's")
	require.NoError(t, w.SelectPods(t.Context(), v))
	require.NoError(t, w.Steer(t.Context(), v, nil))
	require.Empty(t, w.sweep())
	require.Equal(t, before, content(w.route(route)))
	require.Equal(t, map[string]string{"app": "theirs"}, w.get(&corev1.Service{ObjectMeta: keyOf("web-canary")}).(*corev1.Service).Spec.Selector)
}

// TestAServiceThatIsLostInMidRelease: before the canary's pods go, its share has to be taken back.
func TestAServiceThatIsLostInMidRelease(t *testing.T) {
	tests := map[string]struct {
		lose func(*testing.T, *world)
		want string
	}{
		"deleted": {
			lose: func(t *testing.T, w *world) {
				require.NoError(t, w.client.Delete(t.Context(), &corev1.Service{ObjectMeta: keyOf("web")}))
			},
			want: "Service web is gone, whose requests the release divides: create it again, or abort the release",
		},
		"it selects other pods": {
			lose: func(t *testing.T, w *world) {
				s := w.get(&corev1.Service{ObjectMeta: keyOf("web")}).(*corev1.Service)
				s.Spec.Selector = map[string]string{"app": "blog"}
				require.NoError(t, w.client.Update(t.Context(), s))
			},
			want: "Service web does not select the pods of Deployment/web any more, and the release divides its requests: let it select them, or abort the release",
		},
	}
	for name, test := range tests {
		for kind, route := range kindsOfRoutes() {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := makeWorld(t, serviceOf("web"), route, nginx())
				before := content(w.route(route))
				w.divide(20)
				test.lose(t, w)
				v := w.look()
				require.Equal(t, test.want, v.State.Blocked)
				require.Len(t, v.State.Routes, 1)
				require.Equal(t, &canary.Share{Weight: 20}, v.State.Routes[0].Share)
				require.False(t, v.State.Missing || v.State.Astray || v.State.Unnamed)
				w.steer(&canary.Share{})
				w.steer(nil)
				require.Equal(t, before, content(w.route(route)))
				w.sweep()
				require.NotContains(t, w.serviceNames(), "web-canary")
			})
		}
	}
}

func TestEndpointsAreThoseOfTheServiceWithTheFewest(t *testing.T) {
	var objects []client.Object
	for service, ready := range map[string]int{"web-stable": 10, "web-canary": 2, "admin-stable": 8, "admin-canary": 3, "web": 12} {
		objects = append(objects, endpointsOf(service, ready)...)
	}
	w := makeWorld(t, append(objects, serviceOf("web"), serviceOf("admin"), httpRoute("a", "web", "admin"))...)
	w.stand()
	for i := range 3 {
		for _, service := range []string{"web-canary", "admin-canary"} {
			require.NoError(t, w.client.Create(t.Context(), podIn(fmt.Sprintf("%s-%d", service, i), "bbb")))
		}
	}
	state := w.look().State
	require.EqualValues(t, 8, state.StableEndpoints)
	require.EqualValues(t, 2, state.CanaryEndpoints)
	require.False(t, state.Unlisted)
	require.False(t, state.OnlyStable || state.OnlyCanary, "web has pods of neither")
}

// TestOnlyPodsOfTheCanaryCountAsItsEndpoints: its Service selected the version before, whose pods are about to go, and
// its endpoints follow with a delay.
func TestOnlyPodsOfTheCanaryCountAsItsEndpoints(t *testing.T) {
	w := makeWorld(t, append(endpointsOf("web-canary", 3), serviceOf("web"), httpRoute("a", "web"),
		podIn("web-canary-0", "bbb"), podIn("web-canary-1", "old"))...)
	w.stand()
	require.EqualValues(t, 1, w.look().State.CanaryEndpoints, "the second is of another version, the third is gone")
}

// TestWhoseEndpointsTheServiceItselfHas: all pods of a Service are those of one version, or not.
func TestWhoseEndpointsTheServiceItselfHas(t *testing.T) {
	tests := map[string]struct {
		endpoints            [][]client.Object
		wantStable           bool
		wantCanary, unlisted bool
	}{
		"of no pods":        {wantStable: true, wantCanary: true, unlisted: true},
		"the stable one's":  {endpoints: [][]client.Object{behind("web", "a", 3), behind("web-stable", "a", 3), behind("web-canary", "b", 0)}, wantStable: true},
		"the canary's":      {endpoints: [][]client.Object{behind("web", "b", 3), behind("web-stable", "a", 0), behind("web-canary", "b", 3)}, wantCanary: true},
		"both":              {endpoints: [][]client.Object{behind("web", "a", 3), behind("web", "b", 1), behind("web-stable", "a", 3), behind("web-canary", "b", 1)}},
		"behind the canary": {endpoints: [][]client.Object{behind("web", "a", 3), behind("web-stable", "a", 3), behind("web-canary", "b", 1)}},
		"not yet listed":    {endpoints: [][]client.Object{behind("web", "a", 3), behind("web-stable", "a", 3)}, wantStable: true, unlisted: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, append(slices.Concat(test.endpoints...), serviceOf("web"), httpRoute("a", "web"))...)
			state := w.look().State
			require.Equal(t, test.wantStable, state.OnlyStable)
			require.Equal(t, test.wantCanary, state.OnlyCanary)
			require.Equal(t, test.unlisted, state.Unlisted)
		})
	}
}

func TestALongNameIsCut(t *testing.T) {
	long := strings.Repeat("w", 63)
	w := makeWorld(t, serviceOf(long), httpRoute("a", long))
	w.divide(20)
	for _, name := range w.serviceNames() {
		require.LessOrEqual(t, len(name), 63)
	}
	require.Len(t, w.serviceNames(), 3)
	w.sweep()
	require.Equal(t, []string{long}, w.serviceNames())
}

func TestANegatedRequirementFitsTheOthers(t *testing.T) {
	pods := []labels.Set{{}, {"app": "web"}, {"app": "blog"}}
	for _, operator := range []selection.Operator{
		selection.Equals, selection.DoubleEquals, selection.NotEquals, selection.In, selection.NotIn, selection.Exists, selection.DoesNotExist,
	} {
		var values []string
		if operator != selection.Exists && operator != selection.DoesNotExist {
			values = []string{"web"}
		}
		requirement, err := labels.NewRequirement("app", operator, values)
		require.NoError(t, err)
		not, ok := negated(*requirement)
		require.True(t, ok, operator)
		for _, pod := range pods {
			require.NotEqual(t, requirement.Matches(pod), not.Matches(pod), "%s %v", operator, pod)
		}
	}
}
