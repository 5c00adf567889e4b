package split

import (
	"testing"

	"github.com/stretchr/testify/require"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

const httpRoute = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"

func TestGateway(t *testing.T) {
	tests := map[string]struct {
		spec  string
		share Share
		want  string
	}{
		"the only backend becomes a pair in percent, with its port": {
			spec:  `{rules: [{backendRefs: [{name: web, port: 80, weight: 1}]}]}`,
			share: share(20),
			want:  `{rules: [{backendRefs: [{name: web-stable, port: 80, weight: 80}, {name: web-canary, port: 80, weight: 20}]}]}`,
		},
		"filters of a backend, and what is not known, go to both": {
			spec:  `{rules: [{name: main, backendRefs: [{group: "", kind: Service, namespace: shop, name: web, filters: [{type: Later, later: {a: 1}}]}], retry: {attempts: 3}}]}`,
			share: share(50),
			want: `{rules: [{name: main, retry: {attempts: 3}, backendRefs: [
				{group: "", kind: Service, namespace: shop, name: web-stable, filters: [{type: Later, later: {a: 1}}], weight: 50},
				{group: "", kind: Service, namespace: shop, name: web-canary, filters: [{type: Later, later: {a: 1}}], weight: 50}]}]}`,
		},
		"beside others the weights add up to what the backend had": {
			spec:  `{rules: [{backendRefs: [{name: api, weight: 50}, {name: web, weight: 50}]}]}`,
			share: share(20),
			want:  `{rules: [{backendRefs: [{name: api, weight: 50}, {name: web-stable, weight: 40}, {name: web-canary, weight: 10}]}]}`,
		},
		"where that is no whole number, the canary gets less": {
			spec:  `{rules: [{backendRefs: [{name: api}, {name: web}]}]}`,
			share: share(99),
			want:  `{rules: [{backendRefs: [{name: api}, {name: web-stable, weight: 1}, {name: web-canary, weight: 0}]}]}`,
		},
		"a weight of 0 stays 0": {
			spec:  `{rules: [{backendRefs: [{name: web, weight: 0}]}]}`,
			share: matching(20, "x-canary", "yes"),
			want:  `{rules: [{backendRefs: [{name: web-stable, weight: 0}, {name: web-canary, weight: 0}]}]}`,
		},
		"two ports of the Service keep their proportion": {
			spec:  `{rules: [{backendRefs: [{name: web, port: 80, weight: 3}, {name: web, port: 81}]}]}`,
			share: share(10),
			want: `{rules: [{backendRefs: [{name: web-stable, port: 80, weight: 270}, {name: web-canary, port: 80, weight: 30},
				{name: web-stable, port: 81, weight: 90}, {name: web-canary, port: 81, weight: 10}]}]}`,
		},
		"of two ports the one without requests gets none": {
			spec:  `{rules: [{backendRefs: [{name: web, port: 80, weight: 3}, {name: web, port: 81, weight: 0}]}]}`,
			share: share(10),
			want: `{rules: [{backendRefs: [{name: web-stable, port: 80, weight: 90}, {name: web-canary, port: 80, weight: 10},
				{name: web-stable, port: 81, weight: 0}, {name: web-canary, port: 81, weight: 0}]}]}`,
		},
		"others of the name are not the Service": {
			spec: `{rules: [{backendRefs: [{name: web, namespace: other}, {name: web, kind: Later}, {name: web, group: x.io}]}, {backendRefs: [{name: web}]}]}`,
			want: `{rules: [{backendRefs: [{name: web, namespace: other}, {name: web, kind: Later}, {name: web, group: x.io}]},
				{backendRefs: [{name: web-stable, weight: 100}, {name: web-canary, weight: 0}]}]}`,
			share: share(0),
		},
		"requests of a Match go to the canary by a rule of their own at the end": {
			spec: `{rules: [
				{name: main, matches: [{path: {value: /a}}, {path: {value: /b}, headers: [{name: x, value: y}]}], backendRefs: [{name: api, weight: 9}, {name: web, weight: 1}]},
				{backendRefs: [{name: api}]}]}`,
			share: matching(0, "x-canary", "yes"),
			want: `{rules: [
				{name: main, matches: [{path: {value: /a}}, {path: {value: /b}, headers: [{name: x, value: y}]}],
					backendRefs: [{name: api, weight: 9}, {name: web-stable, weight: 1}, {name: web-canary, weight: 0}]},
				{backendRefs: [{name: api}]},
				{name: main-web-canary, matches: [{path: {value: /a}, headers: [{type: Exact, name: x-canary, value: "yes"}]},
					{path: {value: /b}, headers: [{name: x, value: y}, {type: Exact, name: x-canary, value: "yes"}]}],
					backendRefs: [{name: web-canary, weight: 1}]}]}`,
		},
		"a cookie is a regular expression": {
			spec:  `{rules: [{backendRefs: [{name: web}]}]}`,
			share: Share{Names: web, Weight: 5, Match: Match{Cookie: "a.b", Value: "1"}},
			want: `{rules: [{backendRefs: [{name: web-stable, weight: 95}, {name: web-canary, weight: 5}]},
				{matches: [{headers: [{type: RegularExpression, name: cookie, value: '^(.*;[ ]*)?a\.b=1([ ]*;.*)?$'}]}], backendRefs: [{name: web-canary}]}]}`,
		},
		"what matches another value of the header gets no rule": {
			spec: `{rules: [{matches: [{headers: [{name: X-Canary, value: "no"}]}], backendRefs: [{name: web}]},
				{matches: [{headers: [{name: X-Canary, value: "yes"}]}], backendRefs: [{name: web}]}]}`,
			share: matching(0, "x-canary", "yes"),
			want: `{rules: [{matches: [{headers: [{name: X-Canary, value: "no"}]}], backendRefs: [{name: web-stable, weight: 100}, {name: web-canary, weight: 0}]},
				{matches: [{headers: [{name: X-Canary, value: "yes"}]}], backendRefs: [{name: web-stable, weight: 100}, {name: web-canary, weight: 0}]},
				{matches: [{headers: [{name: X-Canary, value: "yes"}]}], backendRefs: [{name: web-canary}]}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result := roundTrip(t, gateway, routeOf(t, httpRoute+"spec: "+test.spec), test.share)
			sameYAML(t, test.want, result.Route)
			raw, err := yaml.Marshal(result.Route.Object["spec"])
			require.NoError(t, err)
			if name != "filters of a backend, and what is not known, go to both" {
				require.NoError(t, yaml.UnmarshalStrict(raw, &gatewayv1.HTTPRouteSpec{}), "the API's own types know every field")
			}
		})
	}
}

func TestGatewayGRPC(t *testing.T) {
	route := routeOf(t, "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nspec: {rules: [{matches: [{method: {service: a, method: b}}], backendRefs: [{name: web, port: 90, weight: 1}]}]}")
	result := roundTrip(t, gateway, route, matching(30, "x-canary", "yes"))
	var spec gatewayv1.GRPCRouteSpec
	raw, err := yaml.Marshal(result.Route.Object["spec"])
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(raw, &spec))
	require.Len(t, spec.Rules, 2)
	require.Equal(t, int32(30), *spec.Rules[0].BackendRefs[1].Weight)
	require.Equal(t, "x-canary", string(spec.Rules[1].Matches[0].Headers[0].Name))
	require.Equal(t, "a", *spec.Rules[1].Matches[0].Method.Service)
}

func TestGatewayAccepted(t *testing.T) {
	const spec = "metadata: {generation: 4}\nspec: {parentRefs: [{name: public}, {name: inner, namespace: infra, sectionName: http}], rules: [{backendRefs: [{name: web}]}]}\n"
	const accepted = "[{type: Accepted, status: 'True', observedGeneration: 4}, {type: ResolvedRefs, status: 'True', observedGeneration: 4}]"
	const inner = ", {parentRef: {group: gateway.networking.k8s.io, kind: Gateway, name: inner, namespace: infra, sectionName: http}, conditions: " + accepted + "}"
	tests := map[string]struct{ status, want string }{
		"nobody took it up":                      {"{}", "Gateway public has not taken up the route"},
		"one of two did":                         {"{parents: [{parentRef: {name: public}, conditions: " + accepted + "}]}", "Gateway inner, section http has not taken up the route"},
		"both did":                               {"{parents: [{parentRef: {name: public, namespace: shop}, conditions: " + accepted + "}" + inner + "]}", ""},
		"an older generation":                    {"{parents: [{parentRef: {name: public}, conditions: [{type: Accepted, status: 'True', observedGeneration: 3}, {type: ResolvedRefs, status: 'True', observedGeneration: 4}]}" + inner + "]}", "Gateway public has not accepted the route yet: condition Accepted is that of generation 3, not 4"},
		"an older report of a controller before": {"{parents: [{parentRef: {name: public}, conditions: [{type: Accepted, status: 'False', observedGeneration: 3}]}, {parentRef: {name: public}, conditions: " + accepted + "}" + inner + "]}", ""},
		"refused": {"{parents: [{parentRef: {name: public}, conditions: [{type: Accepted, status: 'True', observedGeneration: 4}, {type: ResolvedRefs, status: 'False', reason: BackendNotFound, message: no web-canary, observedGeneration: 4}]}" + inner + "]}",
			"Gateway public does not accept the route: ResolvedRefs is False (BackendNotFound): no web-canary"},
		"a part of it is dropped": {"{parents: [{parentRef: {name: public}, conditions: [{type: PartiallyInvalid, status: 'True', observedGeneration: 4}, {type: Accepted, status: 'True', observedGeneration: 4}, {type: ResolvedRefs, status: 'True', observedGeneration: 4}]}" + inner + "]}",
			"Gateway public does not accept the route: PartiallyInvalid is True"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reading, err := gateway.Read(routeOf(t, httpRoute+spec+"status: "+test.status), nil, web)
			require.NoError(t, err)
			require.Equal(t, test.want, reading.Waiting)
		})
	}
}
