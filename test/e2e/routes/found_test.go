package routes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// found requires that the state and the Event of the release say what was found.
func (a *app) found(routes []string, notes ...string) {
	a.t.Helper()
	_, name := a.workload()
	divided := "requests are divided by " + strings.Join(routes, ", ")
	want := fmt.Sprintf("release %d: %s", a.release().ID, strings.Join(append([]string{divided}, notes...), "; "))
	require.Equal(a.t, want, a.WaitEvent(name, "RoutesFound"))
	require.Equal(a.t, routes, a.release().Traffic.Routes)
	require.Equal(a.t, notes, a.release().Traffic.Notes)
}

// names are what people call the routes: "httproute/shop".
func (a *app) names() []string {
	a.t.Helper()
	var names []string
	for _, route := range a.routes() {
		names = append(names, strings.ToLower(route.GetKind())+"/"+route.GetName())
	}
	return names
}

// TestARouteThatIsNotDivided is named with the reason, and stays what it is.
func TestARouteThatIsNotDivided(t *testing.T) {
	for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
		t.Run(workload, func(t *testing.T) {
			t.Parallel()
			installed(t)
			a := start(t, kinds["HTTPRoutes"], workload, harness.Steps("20%"))
			ingresses := routesOf(t).Resource(kinds["Ingress"].resource).Namespace(a.Name)
			before, err := ingresses.Create(t.Context(), parse(ingress("other", "other")), metav1.CreateOptions{FieldManager: "helm"})
			require.NoError(t, err)
			a.setImage(v2)
			a.waits(canary.Waiting, 1)
			a.shared(20)
			a.found(a.names(), "ingress/other is not divided: its class other is of the controller example.com/other, and a share can be given to k8s.io/ingress-nginx only")
			a.approve()
			a.ends(v2)
			after, err := ingresses.Get(t.Context(), "other", metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, before.Object, after.Object)
		})
	}
}

// TestARouteThatIsCreatedInMidRelease is found while the release waits, and divided as the others are.
func TestARouteThatIsCreatedInMidRelease(t *testing.T) {
	for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
		t.Run(workload, func(t *testing.T) {
			t.Parallel()
			installed(t)
			a := held(t, kinds["HTTPRoutes"], workload, "20%")
			a.createRoute(httpRoute("late", "late.example.com"))
			a.shared(20)
			a.Eventually("the release names it", func(context.Context) error {
				if found := a.release().Traffic.Routes; !slices.Equal(a.names(), found) {
					return fmt.Errorf("it names %v", found)
				}
				return nil
			})
			a.approve()
			a.ends(v2)
		})
	}
}
