package eject

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

func gatewayRoute(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	route := &unstructured.Unstructured{}
	require.NoError(t, route.UnmarshalJSON([]byte(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute",
		"metadata":{"name":"front","namespace":"shop"},
		"spec":{"parentRefs":[{"name":"edge"}],"rules":[{"backendRefs":[{"name":"web","port":80,"weight":4},{"name":"db","port":80}]}]}}`)))
	return route
}

// dividing returns a route that is divided for a Service, as admission leaves it.
func dividing(t *testing.T, route *unstructured.Unstructured, service string, weight int32, workload string) *unstructured.Unstructured {
	t.Helper()
	provider, ok := split.For(route.GroupVersionKind().GroupKind())
	require.True(t, ok)
	result, err := provider.Split(route, split.Share{Names: split.NamesOf(service), Weight: weight, Workload: workload})
	require.NoError(t, err)
	result.Route.SetLabels(map[string]string{split.ActiveLabel: "true"})
	return result.Route
}

func annotated(route *unstructured.Unstructured, record string) *unstructured.Unstructured {
	route = route.DeepCopy()
	route.SetAnnotations(map[string]string{split.RecordAnnotation: record})
	return route
}

func TestWhatStandsInFrontOfAWorkload(t *testing.T) {
	web := workload.Ref{Kind: workload.Deployment, Namespace: "shop", Name: "web"}
	plain := gatewayRoute(t)
	divided := dividing(t, plain, "web", 50, "Deployment/web")
	byBoth := dividing(t, divided, "db", 25, "StatefulSet/db")
	dbAlone := dividing(t, plain, "db", 25, "StatefulSet/db")
	tests := map[string]struct {
		route    *unstructured.Unstructured
		services []split.Names // sluice's own, of the workload
		want     []stand
		wantLeft *unstructured.Unstructured // once it is given back
		others   int
	}{
		"nothing of sluice's":                     {route: plain, services: []split.Names{split.NamesOf("web")}},
		"it is divided":                           {route: divided, want: []stand{toBoth}, wantLeft: plain},
		"the canary gets nothing":                 {route: dividing(t, plain, "web", 0, "Deployment/web"), want: []stand{toStable}, wantLeft: plain},
		"a share that was to end without webhook": {route: annotated(divided, `{"web":{"stable":"web-stable","canary":"web-canary","workload":"Deployment/web","ended":true}}`), want: []stand{toBoth}},
		"nobody knows whose release it is":        {route: dividing(t, plain, "web", 50, ""), want: []stand{toBoth}, wantLeft: plain},
		"its record is lost":                      {route: annotated(divided, ""), services: []split.Names{split.NamesOf("web")}, want: []stand{toBoth}},
		"its record cannot be read":               {route: annotated(divided, "{"), services: []split.Names{split.NamesOf("web")}, want: []stand{toBoth}},
		"another one divides it, too":             {route: byBoth, want: []stand{toBoth}, wantLeft: dbAlone},
		"another one divides it":                  {route: dbAlone, services: []split.Names{split.NamesOf("web")}},
		"another one divides it between the same": {route: dividing(t, plain, "web", 50, "StatefulSet/db"), services: []split.Names{split.NamesOf("web")}, others: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &front{}
			item := &Item{Subject: &Subject{Workload: &workload.Workload{Ref: web}}}
			require.NoError(t, f.find(item, []route{{Unstructured: test.route}}, test.services))
			require.Len(t, f.others, test.others)
			var stands []stand
			for _, p := range f.parts {
				at, err := p.stand()
				require.NoError(t, err)
				stands = append(stands, at)
				left, err := p.restored()
				require.NoError(t, err)
				require.True(t, part{route: left, names: p.names}.reached(toService))
				if test.wantLeft != nil {
					require.Equal(t, test.wantLeft.Object, left.Object)
				}
			}
			require.Equal(t, test.want, stands)
		})
	}
}

func TestWhoseARouteIs(t *testing.T) {
	ref := func(kind *workload.Kind, name string) workload.Ref {
		return workload.Ref{Kind: kind, Namespace: "shop", Name: name}
	}
	labelled := gatewayRoute(t)
	labelled.SetLabels(map[string]string{canary.WorkloadLabel: "api"})
	for name, test := range map[string]struct {
		route *unstructured.Unstructured
		want  []workload.Ref
	}{
		"its record says it":                 {dividing(t, gatewayRoute(t), "db", 20, "StatefulSet/db"), []workload.Ref{ref(workload.StatefulSet, "db")}},
		"its record does not say it":         {dividing(t, gatewayRoute(t), "web", 20, ""), []workload.Ref{ref(workload.Deployment, "web")}},
		"a label says it":                    {labelled, []workload.Ref{ref(workload.Deployment, "api")}},
		"nothing says it":                    {annotated(gatewayRoute(t), "{"), []workload.Ref{ref(workload.Deployment, "front")}},
		"a record of a kind that none knows": {annotated(gatewayRoute(t), `{"web":{"workload":"Rollout/web"}}`), []workload.Ref{ref(workload.Deployment, "web")}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, ownersOf(test.route)) })
	}
}
