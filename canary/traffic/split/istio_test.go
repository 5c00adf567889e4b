package split

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const virtualService = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"

func TestIstio(t *testing.T) {
	tests := map[string]struct {
		spec  string
		share Share
		want  string
	}{
		"the only destination has no weight before and after": {
			spec:  `{hosts: [web], http: [{route: [{destination: {host: web, port: {number: 80}}, headers: {request: {set: {a: b}}}}]}]}`,
			share: share(20),
			want: `{hosts: [web], http: [{route: [{destination: {host: web-stable, port: {number: 80}}, headers: {request: {set: {a: b}}}, weight: 80},
				{destination: {host: web-canary, port: {number: 80}}, headers: {request: {set: {a: b}}}, weight: 20}]}]}`,
		},
		"the only destination gets everything, whatever its weight says": {
			spec:  `{http: [{route: [{destination: {host: web}, weight: 0}]}]}`,
			share: share(20),
			want:  `{http: [{route: [{destination: {host: web-stable}, weight: 80}, {destination: {host: web-canary}, weight: 20}]}]}`,
		},
		"a qualified host stays one, and that of another namespace as it is": {
			spec:  `{http: [{route: [{destination: {host: web.shop.svc.cluster.local}, weight: 10}, {destination: {host: web.other.svc.cluster.local}, weight: 90}]}, {route: [{destination: {host: web.shop}}]}]}`,
			share: share(50),
			want: `{http: [{route: [{destination: {host: web-stable.shop.svc.cluster.local}, weight: 5}, {destination: {host: web-canary.shop.svc.cluster.local}, weight: 5},
				{destination: {host: web.other.svc.cluster.local}, weight: 90}]}, {route: [{destination: {host: web.shop}}]}]}`,
		},
		"a destination without weight beside others gets nothing": {
			spec:  `{http: [{route: [{destination: {host: web}}, {destination: {host: api}, weight: 100}]}]}`,
			share: matching(50, "x-canary", "yes"),
			want:  `{http: [{route: [{destination: {host: web-stable}, weight: 0}, {destination: {host: web-canary}, weight: 0}, {destination: {host: api}, weight: 100}]}]}`,
		},
		"requests of a Match have a rule right before, with a name of its own": {
			spec: `{http: [{name: first, redirect: {uri: /}}, {name: main, match: [{uri: {prefix: /a}}, {headers: {x: {exact: y}}}], timeout: 3s, mirror: {host: audit}, route: [{destination: {host: web}}]},
				{route: [{destination: {host: api}}]}]}`,
			share: matching(0, "x-canary", "yes"),
			want: `{http: [{name: first, redirect: {uri: /}},
				{name: main-web-canary, match: [{uri: {prefix: /a}, headers: {x-canary: {exact: "yes"}}}, {headers: {x: {exact: y}, x-canary: {exact: "yes"}}}], timeout: 3s, mirror: {host: audit}, route: [{destination: {host: web-canary}}]},
				{name: main, match: [{uri: {prefix: /a}}, {headers: {x: {exact: y}}}], timeout: 3s, mirror: {host: audit}, route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]},
				{route: [{destination: {host: api}}]}]}`,
		},
		"what matches another value of the header gets no rule": {
			spec:  `{http: [{match: [{headers: {x-canary: {exact: "no"}}}], route: [{destination: {host: web}}]}, {match: [{headers: {x-canary: {exact: "yes"}}}], route: [{destination: {host: web}}]}]}`,
			share: matching(0, "x-canary", "yes"),
			want: `{http: [{match: [{headers: {x-canary: {exact: "no"}}}], route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]},
				{match: [{headers: {x-canary: {exact: "yes"}}}], route: [{destination: {host: web-canary}}]},
				{match: [{headers: {x-canary: {exact: "yes"}}}], route: [{destination: {host: web-stable}, weight: 100}, {destination: {host: web-canary}, weight: 0}]}]}`,
		},
		"a cookie is a regular expression of the whole header": {
			spec:  `{http: [{route: [{destination: {host: web}}]}]}`,
			share: Share{Names: web, Weight: 5, Match: Match{Cookie: "c", Value: "1"}},
			want: `{http: [{match: [{headers: {cookie: {regex: '^(.*;[ ]*)?c=1([ ]*;.*)?$'}}}], route: [{destination: {host: web-canary}}]},
				{route: [{destination: {host: web-stable}, weight: 95}, {destination: {host: web-canary}, weight: 5}]}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sameYAML(t, test.want, roundTrip(t, istio, routeOf(t, virtualService+"spec: "+test.spec), test.share).Route)
		})
	}
}

func TestIstioAccepted(t *testing.T) {
	tests := map[string]struct{ status, want string }{
		"there is no status":                 {"", ""},
		"a status of an older generation":    {"status: {observedGeneration: '3', conditions: []}", "Istio has not looked at the VirtualService yet: its status is that of generation 3, not 4"},
		"an error":                           {"status: {observedGeneration: '4', validationMessages: [{level: WARNING, type: {code: IST0001}}, {level: ERROR, type: {code: IST0101, name: ReferencedResourceNotFound}}]}", "Istio does not accept the VirtualService: IST0101 ReferencedResourceNotFound"},
		"not all proxies have it":            {"status: {conditions: [{type: Reconciled, status: 'False', message: 1/2 proxies up to date., observedGeneration: '4'}]}", "the proxies do not have the VirtualService yet: Reconciled is False: 1/2 proxies up to date."},
		"all proxies have an older one":      {"status: {conditions: [{type: Reconciled, status: 'True', observedGeneration: 3}]}", "the proxies do not have the VirtualService yet: condition Reconciled is that of generation 3, not 4"},
		"all proxies have it":                {"status: {observedGeneration: 4, conditions: [{type: Reconciled, status: 'True', observedGeneration: '4'}]}", ""},
		"conditions that nobody knows later": {"status: {conditions: [{type: Later, status: 'False'}]}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reading, err := istio.Read(routeOf(t, virtualService+"metadata: {generation: 4}\nspec: {http: [{route: [{destination: {host: web}}]}]}\n"+test.status), nil, web)
			require.NoError(t, err)
			require.Equal(t, test.want, reading.Waiting)
		})
	}
}
