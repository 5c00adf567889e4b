package traffic

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
)

// tlsPolicy says how to speak TLS with the pods of Services.
func tlsPolicy(name string, services ...string) *unstructured.Unstructured {
	policy := parse(fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %s}
spec:
  targetRefs: []
  validation: {hostname: web.example.com, wellKnownCACertificates: System}
`, name))
	for _, service := range services {
		spec := policy.Object["spec"].(map[string]any)
		spec["targetRefs"] = append(spec["targetRefs"].([]any), map[string]any{"group": "", "kind": "Service", "name": service})
	}
	return policy
}

func destinationRule(name, host string) *unstructured.Unstructured {
	return parse(fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %s}
spec:
  host: "%s"
  trafficPolicy: {tls: {mode: SIMPLE}}
`, name, host))
}

func apisixUpstream(name, spec string) *unstructured.Unstructured {
	return parse(fmt.Sprintf(`
apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: %s}
spec: %s
`, name, spec))
}

func TestWhatIsBoundToAServiceByItsNameKeepsItsRoutesWhole(t *testing.T) {
	const is = " is bound to Service web by its name, and nothing like it to web-stable and web-canary: bind one to these two, too"
	only := func(rule *unstructured.Unstructured, field string) *unstructured.Unstructured {
		spec := rule.Object["spec"].(map[string]any)
		rule.Object["spec"] = map[string]any{"host": spec["host"], field: []any{}}
		return rule
	}
	ofKind := func(policy *unstructured.Unstructured, kind string) *unstructured.Unstructured {
		spec := policy.Object["spec"].(map[string]any)
		spec["targetRefs"].([]any)[0].(map[string]any)["kind"] = kind
		return policy
	}
	byIstio := func(route *unstructured.Unstructured) *unstructured.Unstructured {
		status := route.Object["status"].(map[string]any)
		status["parents"].([]any)[0].(map[string]any)["controllerName"] = "istio.io/gateway-controller"
		return route
	}
	http, virtual, apisix := httpRoute("a", "web"), virtualService("a", "web"), apisixRoute("a", "web")
	tests := map[string]struct {
		route *unstructured.Unstructured
		bound []client.Object
		want  string // empty: the route is divided
	}{
		"a policy of TLS":                             {http, []client.Object{tlsPolicy("tls", "web")}, "backendtlspolicy/tls" + is},
		"one of several Services":                     {http, []client.Object{tlsPolicy("tls", "blog", "web")}, "backendtlspolicy/tls" + is},
		"one that is bound to one of sluice's":        {http, []client.Object{tlsPolicy("tls", "web", "web-canary")}, "backendtlspolicy/tls" + is},
		"one that is bound to both of sluice's":       {http, []client.Object{tlsPolicy("tls", "web", "web-stable", "web-canary")}, ""},
		"one, and another for both of sluice's":       {http, []client.Object{tlsPolicy("tls", "web"), tlsPolicy("two", "web-stable", "web-canary")}, ""},
		"one, and one for each of sluice's":           {http, []client.Object{tlsPolicy("tls", "web"), tlsPolicy("b", "web-stable"), tlsPolicy("c", "web-canary")}, ""},
		"one of another Service":                      {http, []client.Object{tlsPolicy("tls", "blog")}, ""},
		"one of something else":                       {http, []client.Object{ofKind(tlsPolicy("tls", "web"), "ServiceImport")}, ""},
		"one that only the Gateway API knows":         {virtual, []client.Object{tlsPolicy("tls", "web")}, ""},
		"a rule of Istio's":                           {virtual, []client.Object{destinationRule("r", "web")}, "destinationrule/r" + is},
		"one with the namespace":                      {virtual, []client.Object{destinationRule("r", "web.shop")}, "destinationrule/r" + is},
		"one with the namespace and svc":              {virtual, []client.Object{destinationRule("r", "web.shop.svc")}, "destinationrule/r" + is},
		"one with the whole name":                     {virtual, []client.Object{destinationRule("r", "web.shop.svc.cluster.local")}, "destinationrule/r" + is},
		"one with the whole name elsewhere":           {virtual, []client.Object{destinationRule("r", "web.blog.svc.cluster.local")}, ""},
		"one of all Services":                         {virtual, []client.Object{destinationRule("r", "*.shop.svc.cluster.local")}, ""},
		"one of everything":                           {virtual, []client.Object{destinationRule("r", "*")}, ""},
		"one of names that end alike":                 {virtual, []client.Object{destinationRule("r", "*eb.shop.svc.cluster.local")}, "destinationrule/r" + is},
		"one of the Service, and one of all":          {virtual, []client.Object{destinationRule("r", "web"), destinationRule("all", "*.shop.svc.cluster.local")}, "destinationrule/r" + is},
		"one of the Service, and each of sluice's":    {virtual, []client.Object{destinationRule("r", "web"), destinationRule("s", "web-stable"), destinationRule("c", "web-canary.shop.svc.cluster.local")}, ""},
		"one that has but subsets":                    {virtual, []client.Object{only(destinationRule("r", "web"), "subsets")}, ""},
		"one, and the route is not Istio's":           {http, []client.Object{destinationRule("r", "web")}, ""},
		"one, and a gateway is Istio's":               {byIstio(http.DeepCopy()), []client.Object{destinationRule("r", "web")}, "destinationrule/r" + is},
		"an upstream of APISIX":                       {apisix, []client.Object{apisixUpstream("web", "{scheme: https}")}, "apisixupstream/web" + is},
		"one of another Service of APISIX":            {apisix, []client.Object{apisixUpstream("blog", "{scheme: https}")}, ""},
		"one of APISIX that has but subsets":          {apisix, []client.Object{apisixUpstream("web", "{ingressClassName: apisix, subsets: [{name: a}]}")}, ""},
		"one of APISIX for each of sluice's Services": {apisix, []client.Object{apisixUpstream("web", "{retries: 1}"), apisixUpstream("web-stable", "{retries: 1}"), apisixUpstream("web-canary", "{retries: 1}")}, ""},
		"one of APISIX, and the route is not its":     {virtual, []client.Object{apisixUpstream("web", "{scheme: https}")}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, append(test.bound, serviceOf("web"), test.route)...)
			found := w.look().State.Found
			if test.want == "" {
				require.Equal(t, &canary.Found{Services: []string{"web"}, Routes: []string{nameOf(test.route)}}, found)
				return
			}
			require.Equal(t, &canary.Found{Services: []string{"web"}, Notes: []string{nameOf(test.route) + " is not divided: " + test.want}}, found)
		})
	}
}

func TestWhatIsDividedStaysSoWhenAPolicyComes(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), httpRoute("a", "web"))
	w.divide(20)
	require.NoError(t, w.client.Create(t.Context(), tlsPolicy("tls", "web")))
	found := w.look().State.Found
	require.Equal(t, []string{"httproute/a"}, found.Routes)
	require.Empty(t, found.Notes)
}

// What says how requests are sent is looked for only where a route that it concerns may be divided, once.
func TestWhatIsBoundIsReadWhereItCounts(t *testing.T) {
	tests := map[string]struct {
		objects []client.Object
		want    []string
	}{
		"no route":      {[]client.Object{serviceOf("web")}, nil},
		"another's":     {[]client.Object{serviceOf("web"), httpRoute("a", "blog")}, nil},
		"one of nginx":  {[]client.Object{serviceOf("web"), ingressOf("nginx", "a", "web"), nginx()}, nil},
		"two of one":    {[]client.Object{serviceOf("web"), httpRoute("a", "web"), httpRoute("b", "web")}, []string{"BackendTLSPolicyList"}},
		"one of Istio":  {[]client.Object{serviceOf("web"), virtualService("a", "web")}, []string{"DestinationRuleList"}},
		"one of APISIX": {[]client.Object{serviceOf("web"), apisixRoute("a", "web")}, []string{"ApisixUpstreamList"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := makeWorld(t, test.objects...)
			var listed []string
			counting := interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
					if kind := list.GetObjectKind().GroupVersionKind().Kind; isOfBinding(kind) {
						listed = append(listed, kind)
					}
					return c.List(ctx, list, opts...)
				},
			})
			w.Router = New(counting, w.kinds.now)
			w.look()
			require.Equal(t, test.want, listed)

			w.divide(20)
			listed = nil
			w.look()
			require.Empty(t, listed, "what is divided stays so, whatever is bound")
		})
	}
}

func isOfBinding(list string) bool {
	for _, b := range bindings {
		if b.kind.Kind+"List" == list {
			return true
		}
	}
	return false
}

func TestAKindOfBindingThatIsNotInstalled(t *testing.T) {
	var absent []schema.GroupKind
	for _, b := range bindings {
		absent = append(absent, b.kind)
	}
	w := makeWorldWithout(t, absent, serviceOf("web"), httpRoute("a", "web"), virtualService("b", "web"), apisixRoute("c", "web"))
	require.Equal(t, []string{"httproute/a", "virtualservice/b", "apisixroute/c"}, w.look().State.Found.Routes)
}

func TestACanaryOfCertainRequestsIsNotReleasedBesideAPolicy(t *testing.T) {
	w := makeWorld(t, serviceOf("web"), httpRoute("a", "web"), tlsPolicy("tls", "web"))
	w.workload.Policy.Match = "header:x-canary=yes"
	require.Contains(t, w.look().State.Blocked, "httproute/a cannot be divided, and the canary is to get no other requests than those of its share: backendtlspolicy/tls")
}
