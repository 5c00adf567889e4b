package split

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	kjson "sigs.k8s.io/json"
)

const (
	plainIngress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
	// fullIngress has what concerns the Service, and what does not.
	fullIngress = plainIngress + `
metadata:
  name: shop
  namespace: shop
  uid: 6f1ad30c
  labels: {app.kubernetes.io/instance: shop}
  annotations:
    cert-manager.io/cluster-issuer: letsencrypt
    external-dns.alpha.kubernetes.io/hostname: a.example.com
    kubernetes.io/ingress.class: nginx
    nginx.ingress.kubernetes.io/affinity: cookie
    nginx.ingress.kubernetes.io/session-cookie-name: s
    nginx.ingress.kubernetes.io/upstream-hash-by: $host
    nginx.ingress.kubernetes.io/rewrite-target: /$1
    nginx.ingress.kubernetes.io/configuration-snippet: deny all;
spec:
  ingressClassName: nginx
  tls:
  - {hosts: [a.example.com, c.example.com], secretName: a}
  - {hosts: [c.example.com], secretName: c}
  - {hosts: ["*.example.net"], secretName: net}
  rules:
  - host: a.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /api, pathType: Exact, backend: {service: {name: api, port: {name: http}}}}
      - {pathType: ImplementationSpecific, backend: {service: {name: web, port: {name: http}}}}
  - host: b.example.net
    http: {paths: [{path: /x, pathType: Prefix, backend: {service: {name: web, port: {number: 81}}}}]}
  - host: c.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {resource: {kind: Bucket, name: web}}}]}
  - host: empty.example.com
`
)

func TestIngressAndItsCanary(t *testing.T) {
	result := roundTrip(t, ingress{}, routeOf(t, fullIngress), matching(20, "x-canary", "yes"))
	sameYAML(t, `
ingressClassName: nginx
tls:
- {hosts: [a.example.com, c.example.com], secretName: a}
- {hosts: [c.example.com], secretName: c}
- {hosts: ["*.example.net"], secretName: net}
rules:
- host: a.example.com
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}
    - {path: /api, pathType: Exact, backend: {service: {name: api, port: {name: http}}}}
    - {pathType: ImplementationSpecific, backend: {service: {name: web-stable, port: {name: http}}}}
- host: b.example.net
  http: {paths: [{path: /x, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 81}}}}]}
- host: c.example.com
  http: {paths: [{path: /, pathType: Prefix, backend: {resource: {kind: Bucket, name: web}}}]}
- host: empty.example.com
`, result.Route)
	sameYAML(t, `
ingressClassName: nginx
tls:
- {hosts: [a.example.com, c.example.com], secretName: a}
- {hosts: ["*.example.net"], secretName: net}
rules:
- host: a.example.com
  http:
    paths:
    - {path: /, pathType: Prefix, backend: {service: {name: web-canary, port: {number: 80}}}}
    - {path: /, pathType: ImplementationSpecific, backend: {service: {name: web-canary, port: {name: http}}}}
- host: b.example.net
  http: {paths: [{path: /x, pathType: Prefix, backend: {service: {name: web-canary, port: {number: 81}}}}]}
`, result.Companion)
	require.Equal(t, "shop-web-canary", result.Companion.GetName())
	require.Equal(t, "shop", result.Companion.GetNamespace())
	require.Equal(t, "shop", result.Companion.GetOwnerReferences()[0].Name)
	require.Empty(t, result.Companion.GetLabels())
	require.Equal(t, map[string]string{
		"kubernetes.io/ingress.class":                        "nginx",
		"nginx.ingress.kubernetes.io/affinity":               "cookie",
		"nginx.ingress.kubernetes.io/session-cookie-name":    "s",
		"nginx.ingress.kubernetes.io/upstream-hash-by":       "$host",
		"nginx.ingress.kubernetes.io/canary":                 "true",
		"nginx.ingress.kubernetes.io/canary-weight":          "20",
		"nginx.ingress.kubernetes.io/canary-by-header":       "x-canary",
		"nginx.ingress.kubernetes.io/canary-by-header-value": "yes",
		"sluice.dev/split":                                   `{"web":{"stable":"web-stable","canary":"web-canary","weight":20,"match":"header:x-canary=yes"}}`,
	}, result.Companion.GetAnnotations())

	for _, made := range []Result{{Route: result.Route}, {Route: result.Companion}} {
		raw, err := json.Marshal(made.Route)
		require.NoError(t, err)
		strict, err := kjson.UnmarshalStrict(raw, &networkingv1.Ingress{})
		require.NoError(t, err)
		require.Empty(t, strict)
	}
	reading, err := ingress{}.Read(result.Route, result.Companion, web)
	require.NoError(t, err)
	require.Equal(t, Reading{
		Backends: []string{"spec.rules[0].http.paths[0].backend.service", "spec.rules[0].http.paths[2].backend.service", "spec.rules[1].http.paths[0].backend.service"},
		Split:    true, Weight: 20, Match: Match{Header: "x-canary", Value: "yes"},
		Inexact: []string{
			"nginx.ingress.kubernetes.io/affinity keeps sessions where they are: weight and match decide for new ones only, and sessions begin anew when a release does and when it ends",
			"nginx.ingress.kubernetes.io/upstream-hash-by picks the pod within a version: requests that it keeps together can be of both versions",
		},
	}, reading)
}

func TestANewWeightWritesOnlyTheCanaryIngress(t *testing.T) {
	first := roundTrip(t, ingress{}, routeOf(t, fullIngress), share(20))
	second, err := ingress{}.Split(first.Route, share(50))
	require.NoError(t, err)
	require.Equal(t, canonical(t, first.Route), canonical(t, second.Route))
	require.Equal(t, "50", second.Companion.GetAnnotations()[nginx+"canary-weight"])
}

func TestTheDefaultBackendOfAnIngress(t *testing.T) {
	const backend = "defaultBackend: {service: {name: web, port: {number: 80}}}"
	alone := roundTrip(t, ingress{}, routeOf(t, plainIngress+"spec: {"+backend+"}"), share(20))
	sameYAML(t, "defaultBackend: {service: {name: web-canary, port: {number: 80}}}", alone.Companion)

	beside := roundTrip(t, ingress{}, routeOf(t, plainIngress+"spec: {"+backend+", rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}"), share(20))
	require.NotContains(t, specOf(t, beside.Companion), "defaultBackend")
	reading, err := ingress{}.Read(beside.Route, beside.Companion, web)
	require.NoError(t, err)
	require.Equal(t, []string{"spec.defaultBackend: nginx splits the default backend of an Ingress without rules only: its requests go to the stable version"}, reading.Inexact)
}

func TestMatchesOfNginx(t *testing.T) {
	tests := map[string]struct {
		match   string
		want    map[string]any
		wantErr string
	}{
		"a header":                        {"header:X-Canary=a/b:c", map[string]any{"canary-by-header": "x-canary", "canary-by-header-value": "a/b:c"}, ""},
		"a value that needs a pattern":    {"header:x=a=b+c", map[string]any{"canary-by-header": "x", "canary-by-header-pattern": `^a=b\+c$`}, ""},
		"a value that nginx would ignore": {"header:x=a b", nil, "of the characters in a value nginx takes"},
		"a name that nginx would ignore":  {"header:x!=a", nil, "of the characters in a name nginx takes"},
		"a cookie with the value always":  {"cookie:c=always", map[string]any{"canary-by-cookie": "c"}, ""},
		"a cookie with any other value":   {"cookie:c=yes", nil, "use cookie:c=always, or a header"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			match, err := ParseMatch(test.match)
			require.NoError(t, err)
			got := map[string]any{}
			err = annotateMatch(got, match)
			if test.wantErr != "" {
				require.ErrorContains(t, err, test.wantErr)
				return
			}
			require.NoError(t, err)
			want := map[string]any{}
			for key, value := range test.want {
				want[nginx+key] = value
			}
			require.Equal(t, want, got)
		})
	}
}

func TestAChartRewritesTheIngress(t *testing.T) {
	main := routeOf(t, fullIngress)
	split := mustSplit(t, ingress{}, main, share(20))

	// A PUT of the chart's object: the record of the old one says that it is split.
	again := mustSplit(t, ingress{}, main, Recorded(split)["web"])
	require.Equal(t, canonical(t, split), canonical(t, again))

	// A patch leaves the record, and brings back the Service at one path.
	backends, err := ingressBackends(node{"", split.Object})
	require.NoError(t, err)
	backends[0].service.fields["name"] = "web"
	reading, err := ingress{}.Read(split, nil, web)
	require.NoError(t, err)
	require.False(t, reading.Split)
	require.Equal(t, canonical(t, again), canonical(t, mustSplit(t, ingress{}, split, share(20))))
	require.Equal(t, canonical(t, main), canonical(t, mustRestore(t, ingress{}, split)))
}

func TestTwoServicesOfAnIngress(t *testing.T) {
	main := routeOf(t, fullIngress)
	api := Share{Names: NamesOf("api"), Weight: 5}
	first, err := ingress{}.Split(mustSplit(t, ingress{}, main, share(20)), api)
	require.NoError(t, err)
	require.Equal(t, "shop-api-canary", first.Companion.GetName())
	second, err := ingress{}.Split(mustSplit(t, ingress{}, main, api), share(20))
	require.NoError(t, err)
	require.Equal(t, "shop-web-canary", second.Companion.GetName())
	require.Equal(t, canonical(t, first.Route), canonical(t, second.Route))
	restored, err := ingress{}.Restore(mustRestore(t, ingress{}, first.Route), api.Names)
	require.NoError(t, err)
	require.Equal(t, canonical(t, main), canonical(t, restored))
}
