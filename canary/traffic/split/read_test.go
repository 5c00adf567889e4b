package split

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRead(t *testing.T) {
	tests := map[string]struct {
		provider Provider
		route    string
		want     Reading
	}{
		"a route of another Service": {
			gateway, httpRoute + "spec: {rules: [{backendRefs: [{name: api}]}]}",
			Reading{None: "no backend of Service web in namespace shop"},
		},
		"a route that is not split": {
			istio, virtualService + "spec: {http: [{route: [{destination: {host: web}}]}]}",
			Reading{Backends: []string{"spec.http[0].route[0]"}},
		},
		"a route that is split by half": {
			istio, virtualService + "spec: {http: [{route: [{destination: {host: web}}]}, {route: [{destination: {host: web-stable}, weight: 2}, {destination: {host: web-canary}, weight: 1}]}]}",
			Reading{Backends: []string{"spec.http[0].route[0]", "spec.http[1].route[0]"}, Weight: 34},
		},
		"only the canary is left": {
			istio, virtualService + "spec: {http: [{route: [{destination: {host: web-canary}}]}]}",
			Reading{Backends: []string{"spec.http[0].route[0]"}, Weight: 100, Split: true},
		},
		"mirrors and connections": {
			istio, virtualService + "spec: {http: [{mirrors: [], mirror: {host: x}, route: [{destination: {host: web}}]}, {mirror: {host: x}, route: [{destination: {host: api}}]}], tls: [{route: [{destination: {host: web}}]}], tcp: [{route: [{destination: {host: api}}]}]}",
			Reading{Backends: []string{"spec.http[0].route[0]"}, Inexact: []string{
				"spec.http[0].mirror mirrors requests: the copies are not split",
				"spec.http[0].mirrors mirrors requests: the copies are not split",
				"spec.tls[0].route[0] sends connections to Service web: they are shared by the number of pods",
			}},
		},
		"sessions, mirrors and extensions of the Gateway API": {
			gateway, httpRoute + "spec: {parentRefs: [{name: a}], rules: [{sessionPersistence: {}, filters: [{type: RequestMirror}], backendRefs: [{name: web, filters: [{type: ExtensionRef}]}]}]}",
			Reading{Backends: []string{"spec.rules[0].backendRefs[0]"}, Waiting: "Gateway a has not taken up the route", Inexact: []string{
				"spec.rules[0].sessionPersistence keeps sessions where they are: the weight decides for new ones only",
				"spec.rules[0].filters[0] mirrors requests: the copies are not split",
				"spec.rules[0].backendRefs[0].filters[0] is an extension of the gateway: whether it sends requests elsewhere cannot be seen",
			}},
		},
		"plugins and streams of APISIX": {
			apisix, apisixRoute + "spec: {http: [{name: a, plugin_config_name: b, plugins: [{name: traffic-split, enable: true}, {name: proxy-mirror, enable: false}], backends: [{serviceName: web}]}], stream: [{backend: {serviceName: web}}]}",
			Reading{Backends: []string{"spec.http[0].backends[0]"}, Inexact: []string{
				"spec.http[0].plugins[0] is the plugin traffic-split: it decides, and the weights of backends count for nothing",
				"spec.http[0].plugin_config_name: whether the plugins of b send requests elsewhere cannot be seen here",
				"spec.stream[0] sends connections to Service web: they are shared by the number of pods",
			}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			route := routeOf(t, test.route)
			got, err := test.provider.Read(route, nil, web)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestWholeNumbersThatAreNotTheShare(t *testing.T) {
	tests := map[string]struct {
		spec       string
		percent    int32
		wantWeight int32
		want       []string
	}{
		"exact":          {"{rules: [{backendRefs: [{name: web, weight: 50}, {name: api, weight: 50}]}]}", 20, 20, nil},
		"alone":          {"{rules: [{backendRefs: [{name: web}]}]}", 33, 33, nil},
		"a third of ten": {"{rules: [{backendRefs: [{name: web, weight: 10}, {name: api, weight: 50}]}]}", 33, 30, []string{"spec.rules[0].backendRefs: the canary gets 30% of the Service's requests instead of 33%, since beside the weights of other backends theirs add up to 10"}},
		"a fifth of one": {"{rules: [{backendRefs: [{name: web}, {name: api}]}]}", 20, 0, []string{"spec.rules[0].backendRefs: the canary gets 0% of the Service's requests instead of 20%, since beside the weights of other backends theirs add up to 1"}},
		"half of three":  {"{rules: [{backendRefs: [{name: web, weight: 3}, {name: api}]}]}", 50, 34, []string{"spec.rules[0].backendRefs: the canary gets 33.3% of the Service's requests instead of 50%, since beside the weights of other backends theirs add up to 3"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := gateway.Read(mustSplit(t, gateway, routeOf(t, httpRoute+"spec: "+test.spec), share(test.percent)), nil, web)
			require.NoError(t, err)
			require.Equal(t, test.wantWeight, got.Weight)
			require.Equal(t, test.want, got.Inexact)
		})
	}
}

func TestWhatCannotBeSplitNamesThePlace(t *testing.T) {
	const sixteen = "[{name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: a}, {name: web}]"
	tests := map[string]struct {
		provider Provider
		route    string
		share    Share
		want     string
	}{
		"no backend":                     {gateway, httpRoute + "spec: {rules: [{backendRefs: [{name: api}]}]}", share(1), "no backend of Service web in namespace shop"},
		"no backend of an Ingress":       {ingress{}, plainIngress + "spec: {}", share(1), "no backend of Service web in namespace shop"},
		"a weight that is none":          {gateway, httpRoute + "spec: {rules: [{backendRefs: [{name: a}, {name: web, weight: -1}]}]}", share(1), "spec.rules[0].backendRefs[1].weight: -1 is not a weight from 0 to 1000000"},
		"a weight with a fraction":       {istio, virtualService + "spec: {http: [{route: [{destination: {host: web}, weight: 1.5}]}]}", share(1), "spec.http[0].route[0].weight: 1.5 is not a weight from 0 to 2147483647"},
		"rules that are no list":         {apisix, apisixRoute + "spec: {http: {}}", share(1), "spec.http is not a list"},
		"a rule that is no object":       {istio, virtualService + "spec: {http: [[]]}", share(1), "spec.http[0] is not an object"},
		"a path that is none":            {ingress{}, plainIngress + "spec: {rules: [{http: {paths: [{backend: 7}]}}]}", share(1), "spec.rules[0].http.paths[0].backend is not an object"},
		"annotations that are none":      {gateway, httpRoute + "metadata: {annotations: 7}\nspec: {}", share(1), "metadata.annotations is not an object"},
		"too many backends":              {gateway, httpRoute + "spec: {rules: [{backendRefs: " + sixteen + "}]}", share(1), "spec.rules[0].backendRefs would have 17 entries, and 16 are allowed"},
		"too many rules":                 {gateway, httpRoute + "spec: {rules: [" + strings.Repeat("{backendRefs: [{name: web}]}, ", 9) + "]}", matching(1, "x", "y"), "spec.rules would have 18 entries with those for the match, and 16 are allowed"},
		"too many matches":               {gateway, httpRoute + "spec: {rules: [{matches: [" + strings.Repeat("{}, ", 65) + "], backendRefs: [{name: web}]}]}", matching(1, "x", "y"), "spec.rules would have 130 matches with those for the match, and 128 are allowed"},
		"a header with another pattern":  {gateway, httpRoute + "spec: {rules: [{matches: [{headers: [{type: RegularExpression, name: X, value: a}]}], backendRefs: [{name: web}]}]}", matching(1, "x", "y"), "spec.rules[0].matches[0].headers[0] matches header X already, and a second condition on it would not count"},
		"a header that Istio matches":    {istio, virtualService + "spec: {http: [{match: [{headers: {x: {prefix: a}}}], route: [{destination: {host: web}}]}]}", matching(1, "x", "y"), "spec.http[0].match[0].headers matches header x already"},
		"a header that Istio excludes":   {istio, virtualService + "spec: {http: [{match: [{withoutHeaders: {x: {}}}], route: [{destination: {host: web}}]}]}", matching(1, "x", "y"), "spec.http[0].match[0].withoutHeaders excludes requests by header x already"},
		"a subset of Istio":              {istio, virtualService + "spec: {http: [{route: [{destination: {host: web, subset: v1}}]}]}", share(1), "spec.http[0].route[0].destination names subset v1, which a DestinationRule defines for this host only: it cannot be split"},
		"a subset of APISIX":             {apisix, apisixRoute + "spec: {http: [{name: a, backends: [{serviceName: web, subset: v1}]}]}", share(1), "spec.http[0].backends[0] names subset v1, which an ApisixUpstream defines for this Service only: it cannot be split"},
		"an Ingress that is a canary":    {ingress{}, plainIngress + "metadata: {annotations: {nginx.ingress.kubernetes.io/canary: 'true'}}\nspec: {defaultBackend: {service: {name: web}}}", share(1), "metadata.annotations: this is a canary Ingress of another one by nginx.ingress.kubernetes.io/canary, and nginx knows no canary of a canary"},
		"a weight that is no percentage": {gateway, httpRoute, share(101), "the weight 101 is not a percentage from 0 to 100"},
		"a match that is none":           {gateway, httpRoute, matching(1, "a b", "c"), `"header:a b=c": "a b" is not the name of a header; want ` + matchGrammar},
		"names that are one":             {gateway, httpRoute, Share{Names: Names{"a", "a", "a"}}, `the Services "a", "a" and "a" are not three`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.provider.Split(routeOf(t, test.route), test.share)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestProvidersByKind(t *testing.T) {
	for _, kind := range []string{"HTTPRoute.gateway.networking.k8s.io", "GRPCRoute.gateway.networking.k8s.io", "VirtualService.networking.istio.io", "ApisixRoute.apisix.apache.org", "Ingress.networking.k8s.io"} {
		_, ok := For(schema.ParseGroupKind(kind))
		require.True(t, ok, kind)
	}
	_, ok := For(schema.ParseGroupKind("TCPRoute.gateway.networking.k8s.io"))
	require.False(t, ok)
}

func TestLongNames(t *testing.T) {
	long := "a-service-with-a-name-that-is-as-long-as-any-name-may-be-63-ch"
	names := NamesOf(long + "x")
	require.Len(t, names.Stable, 63)
	require.Len(t, names.Canary, 63)
	require.NotEqual(t, names.Stable, NamesOf(long+"y").Stable)
	require.Equal(t, Names{"web", "web-stable", "web-canary"}, NamesOf("web"))
}
