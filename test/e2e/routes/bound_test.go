package routes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestWhatIsBoundToTheServiceByItsNameKeepsItsRoutesWhole: it says nothing of the Services of the two versions. The
// release says what it is, and goes on by the number of pods.
func TestWhatIsBoundToTheServiceByItsNameKeepsItsRoutesWhole(t *testing.T) {
	for kind, test := range map[string]struct {
		resource schema.GroupVersionResource
		object   string
		is       string // what people call it
	}{
		"GRPCRoute": {
			resource: schema.GroupVersionResource{Group: gatewayGroup, Version: "v1", Resource: "backendtlspolicies"},
			object: `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: tls}
spec:
  targetRefs: [{group: "", kind: Service, name: shop}]
  validation: {wellKnownCACertificates: System, hostname: shop.example.com}
`,
			is: "backendtlspolicy/tls",
		},
		"VirtualService": {
			resource: schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"},
			object: `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: sticky}
spec:
  host: shop
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
`,
			is: "destinationrule/sticky",
		},
		"ApisixRoute": {
			resource: schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixupstreams"},
			object: `
apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: shop}
spec: {scheme: https}
`,
			is: "apisixupstream/shop",
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			installed(t)
			a := start(t, kinds[kind], canary.Deployment, harness.Steps("20%"))
			_, err := routesOf(t).Resource(test.resource).Namespace(a.Name).Create(t.Context(), parse(test.object), metav1.CreateOptions{})
			require.NoError(t, err)
			a.setImage(v2)
			a.waits(canary.Waiting, 1)
			require.Empty(t, a.release().Traffic.Routes)
			require.Equal(t, []string{strings.ToLower(kind) + "/shop is not divided: " + test.is +
				" is bound to Service shop by its name, and nothing like it to shop-stable and shop-canary: bind one to these two, too"}, a.release().Traffic.Notes)
			for _, route := range a.routes() {
				require.Equal(t, a.before[route.GetName()], content(t, route))
			}
			a.approve()
			a.ends(v2)
		})
	}
}
