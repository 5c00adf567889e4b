package split

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const apisixRoute = "apiVersion: apisix.apache.org/v2\nkind: ApisixRoute\n"

func TestApisix(t *testing.T) {
	tests := map[string]struct {
		spec  string
		share Share
		want  string
	}{
		"the only backend becomes a pair in percent": {
			spec:  `{ingressClassName: apisix, http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web, servicePort: http, resolveGranularity: service}]}]}`,
			share: share(20),
			want: `{ingressClassName: apisix, http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web-stable, servicePort: http, resolveGranularity: service, weight: 80},
				{serviceName: web-canary, servicePort: http, resolveGranularity: service, weight: 20}]}]}`,
		},
		"a backend without weight counts 100 beside others": {
			spec:  `{http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web, servicePort: 80}, {serviceName: api, servicePort: 80, weight: 50}]}]}`,
			share: share(33),
			want:  `{http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web-stable, servicePort: 80, weight: 67}, {serviceName: web-canary, servicePort: 80, weight: 33}, {serviceName: api, servicePort: 80, weight: 50}]}]}`,
		},
		"upstreams are others": {
			spec:  `{http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web, servicePort: 80, weight: 10}], upstreams: [{name: old, weight: 90}]}]}`,
			share: matching(20, "x-canary", "yes"),
			want: `{http: [{name: main, match: {paths: [/*]}, backends: [{serviceName: web-stable, servicePort: 80, weight: 8}, {serviceName: web-canary, servicePort: 80, weight: 2}], upstreams: [{name: old, weight: 90}]},
				{name: main-web-canary, priority: 1, match: {paths: [/*], exprs: [{subject: {scope: Header, name: x-canary}, op: Equal, value: "yes"}]}, backends: [{serviceName: web-canary, servicePort: 80, weight: 10}]}]}`,
		},
		"requests of a Match have a rule with a higher priority": {
			spec: `{http: [{name: main, priority: 7, websocket: true, match: {paths: [/*], exprs: [{subject: {scope: Query, name: a}, op: Equal, value: b}]}, backends: [{serviceName: web, servicePort: 80}], plugins: [{name: cors, enable: true, config: {a: 1.5}}]},
				{name: main-web-canary, match: {paths: [/c]}, backends: [{serviceName: api, servicePort: 80}]}]}`,
			share: Share{Names: web, Weight: 1, Match: Match{Cookie: "c", Value: "1"}},
			want: `{http: [{name: main, priority: 7, websocket: true, match: {paths: [/*], exprs: [{subject: {scope: Query, name: a}, op: Equal, value: b}]}, backends: [{serviceName: web-stable, servicePort: 80, weight: 99}, {serviceName: web-canary, servicePort: 80, weight: 1}], plugins: [{name: cors, enable: true, config: {a: 1.5}}]},
				{name: main-web-canary, match: {paths: [/c]}, backends: [{serviceName: api, servicePort: 80}]},
				{name: main-web-canary-web-canary, priority: 8, websocket: true, match: {paths: [/*], exprs: [{subject: {scope: Query, name: a}, op: Equal, value: b}, {subject: {scope: Cookie, name: c}, op: Equal, value: "1"}]}, backends: [{serviceName: web-canary, servicePort: 80}], plugins: [{name: cors, enable: true, config: {a: 1.5}}]}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sameYAML(t, test.want, roundTrip(t, apisix, routeOf(t, apisixRoute+"spec: "+test.spec), test.share).Route)
		})
	}
}

func TestApisixAccepted(t *testing.T) {
	tests := map[string]struct{ status, want string }{
		"there is no status":   {"", ""},
		"accepted":             {"status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 4}]}", ""},
		"an older generation":  {"status: {conditions: [{type: ResourcesAvailable, status: 'True', observedGeneration: 3}]}", "APISIX has not accepted the route yet: condition ResourcesAvailable is that of generation 3, not 4"},
		"refused":              {"status: {conditions: [{type: Accepted, status: 'False', reason: SyncFailed, message: bad plugin, observedGeneration: 4}]}", "APISIX does not accept the route: Accepted is False (SyncFailed): bad plugin"},
		"not known, not heard": {"status: {conditions: [{type: Later, status: 'False'}]}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reading, err := apisix.Read(routeOf(t, apisixRoute+"metadata: {generation: 4}\nspec: {http: [{name: a, backends: [{serviceName: web}]}]}\n"+test.status), nil, web)
			require.NoError(t, err)
			require.Equal(t, test.want, reading.Waiting)
		})
	}
}
