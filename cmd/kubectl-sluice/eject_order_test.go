package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/canary"
)

// timed is a write, and when it was made.
type timed struct {
	resource string
	after    time.Duration // the command's start
}

// time notes when writes are made.
func (s *session) time() *[]timed {
	var writes []timed
	s.client.PrependReactor("*", "*", func(action k8stesting.Action) (bool, runtime.Object, error) {
		if slices.Contains([]string{"update", "patch", "delete"}, action.GetVerb()) {
			writes = append(writes, timed{action.GetResource().Resource, s.clock.Since(now)})
		}
		return false, nil, nil
	})
	return &writes
}

// written says of routes that sluice wrote them some time ago.
func written(ago time.Duration, routes ...runtime.Object) []runtime.Object {
	for _, route := range routes {
		stamp := metav1.NewTime(now.Add(-ago))
		route.(metav1.Object).SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "sluice", Operation: metav1.ManagedFieldsOperationUpdate, Time: &stamp}})
	}
	return routes
}

// inFront returns a workload in mid-release, with sluice's Services.
func inFront(workload string, w *world) []runtime.Object {
	if workload == "Deployment/web" {
		return append(w.objects(), ownServices()...)
	}
	hashes := map[string]string{"web-stable": "db-old", "web-canary": "db-new"}
	return append(newSetWorld().objects(), servicesOf("StatefulSet", "db", hashes, "controller-revision-hash")...)
}

// TestSluicesServicesGoOnceGatewaysActOnWhatASluiceThatIsAliveGaveBack: it did so a second ago.
func TestSluicesServicesGoOnceGatewaysActOnWhatASluiceThatIsAliveGaveBack(t *testing.T) {
	for kind, grace := range map[string]time.Duration{"Ingress": canary.Unsaid, "HTTPRoute": 2 * time.Second} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld()
			s := newSession(append(written(time.Second, plain(t, kind)), inFront("Deployment/web", w)...)...)
			s.permit()
			s.live(t, w)
			writes := s.time()
			require.Zero(t, s.run(t, "eject", "deploy/web", "--leave-paused", "--yes"), s.err.String())
			services := slices.IndexFunc(*writes, func(w timed) bool { return w.resource == "services" })
			require.Equal(t, grace-time.Second, (*writes)[services].after, "%v", *writes)
		})
	}
}

// TestEjectLetsGatewaysActOnARouteBeforePodsGo: two seconds after the route's last write where they say that they have
// accepted it, five where they say nothing, whoever wrote it. Sluice's Services go as long after they were needed.
func TestEjectLetsGatewaysActOnARouteBeforePodsGo(t *testing.T) {
	tests := map[string]struct {
		kind      string
		weight    int32
		route     time.Duration // since it was written
		canary    time.Duration // since its canary Ingress was
		wantFirst time.Duration // when something else than a route is written
		grace     time.Duration
	}{
		"an Ingress that eject writes":                  {kind: "Ingress", weight: 20, route: time.Hour, canary: time.Hour, wantFirst: canary.Unsaid, grace: canary.Unsaid},
		"an Ingress that was written a second ago":      {kind: "Ingress", route: time.Second, canary: time.Hour, wantFirst: canary.Unsaid - time.Second, grace: canary.Unsaid},
		"a canary Ingress written a second ago":         {kind: "Ingress", route: time.Hour, canary: time.Second, wantFirst: canary.Unsaid - time.Second, grace: canary.Unsaid},
		"an Ingress that was written five seconds ago":  {kind: "Ingress", route: canary.Unsaid, canary: canary.Unsaid, grace: canary.Unsaid},
		"an HTTPRoute that eject writes":                {kind: "HTTPRoute", weight: 20, route: time.Hour, wantFirst: 2 * time.Second, grace: 2 * time.Second},
		"an HTTPRoute that was written a second ago":    {kind: "HTTPRoute", route: time.Second, wantFirst: time.Second, grace: 2 * time.Second},
		"an HTTPRoute that was written two seconds ago": {kind: "HTTPRoute", route: 2 * time.Second, grace: 2 * time.Second},
	}
	for name, test := range tests {
		for workload, arg := range map[string]string{"Deployment/web": "deploy/web", "StatefulSet/db": "sts/db"} {
			t.Run(workload+": "+name, func(t *testing.T) {
				routes := divide(t, plain(t, test.kind), test.weight, workload)
				written(test.route, routes[0])
				written(test.canary, routes[1:]...)
				w := newWorld()
				s := newSession(append(routes, inFront(workload, w)...)...)
				s.permit()
				s.live(t, w)
				writes := s.time()
				require.Zero(t, s.run(t, "eject", arg, "--leave-paused", "--yes"), s.err.String())
				ofRoutes := func(w timed) bool { return w.resource == routeResources[test.kind].Resource }
				first := slices.IndexFunc(*writes, func(w timed) bool { return !ofRoutes(w) })
				require.Equal(t, test.wantFirst, (*writes)[first].after, "%v", *writes)
				services := slices.IndexFunc(*writes, func(w timed) bool { return w.resource == "services" })
				require.True(t, ofRoutes((*writes)[services-1]), "%v", *writes)
				require.Equal(t, test.grace, (*writes)[services].after-(*writes)[services-1].after, "%v", *writes)
			})
		}
	}
}
