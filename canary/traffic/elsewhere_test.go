package traffic

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

func TestRoutesOfOtherNamespacesAreNamed(t *testing.T) {
	granted := parse(`
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {namespace: shop, name: front}
spec:
  from:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: front}
  - {group: gateway.networking.k8s.io, kind: Gateway, namespace: gateways}
  to:
  - {group: "", kind: Service}
`)
	elsewhere := func(name, service string) *unstructured.Unstructured {
		route := httpRoute(name, service)
		route.SetNamespace("front")
		rules := route.Object["spec"].(map[string]any)["rules"].([]any)
		backend := rules[0].(map[string]any)["backendRefs"].([]any)[0].(map[string]any)
		backend["namespace"] = "shop"
		return route
	}
	own := httpRoute("own-web", "web") // of a Service of that name in its own namespace
	own.SetNamespace("front")
	w := makeWorld(t, serviceOf("web"), httpRoute("web", "web"), granted, elsewhere("site", "web"), elsewhere("blog", "blog"), own)
	require.Equal(t, &canary.Found{
		Services: []string{"web"}, Routes: []string{"httproute/web"},
		Notes: []string{"httproute/site of namespace front is not divided: it is of another namespace"},
	}, w.look().State.Found)
}
