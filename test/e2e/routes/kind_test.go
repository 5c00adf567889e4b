package routes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// kind is a kind of route, with the routes to the Service shop that a test has of it. Beside its backend each has
// something of its people's that has to stay.
type kind struct {
	resource schema.GroupVersionResource
	accepted bool // its gateway says so in the status
	routes   []string
	rules    []string // where in the route they are
	backends string   // where in a rule
	header   string   // how a rule says that it is for x-canary: yes
}

const gatewayGroup = "gateway.networking.k8s.io"

var kinds = map[string]kind{
	"HTTPRoutes": {
		resource: schema.GroupVersionResource{Group: gatewayGroup, Version: "v1", Resource: "httproutes"}, accepted: true,
		rules: []string{"spec", "rules"}, backends: "backendRefs", header: `"name":"x-canary","type":"Exact","value":"yes"`,
		routes: []string{httpRoute("shop", "shop.example.com"), httpRoute("inside", "shop.internal")},
	},
	"GRPCRoute": {
		resource: schema.GroupVersionResource{Group: gatewayGroup, Version: "v1", Resource: "grpcroutes"}, accepted: true,
		rules: []string{"spec", "rules"}, backends: "backendRefs", header: `"name":"x-canary","type":"Exact","value":"yes"`,
		routes: []string{`
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: gate}]
  rules:
  - name: orders
    matches: [{method: {service: shop.Orders}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-route, value: orders}]}}]
    backendRefs: [{name: shop, port: 80}]
`},
	},
	"VirtualService": {
		resource: schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
		rules:    []string{"spec", "http"}, backends: "route", header: `"x-canary":{"exact":"yes"}`,
		routes: []string{`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http:
  - name: all
    timeout: 5s
    retries: {attempts: 3, perTryTimeout: 2s}
    route: [{destination: {host: shop, port: {number: 80}}}]
`},
	},
	"ApisixRoute": {
		resource: schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixroutes"},
		rules:    []string{"spec", "http"}, backends: "backends", header: `"name":"x-canary","scope":"Header"`,
		routes: []string{`
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: shop}
spec:
  http:
  - name: all
    priority: 3
    match: {hosts: [shop.example.com], paths: ["/*"]}
    backends: [{serviceName: shop, servicePort: 80, resolveGranularity: endpoint}]
    plugins: [{name: cors, enable: true, config: {allow_origins: "*"}}]
`},
	},
}

func httpRoute(name, host string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: gate}]
  hostnames: [%s]
  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    timeouts: {request: 5s}
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-route, value: all}]}}]
    backendRefs: [{name: shop, port: 80}]
`, name, host)
}

func parse(text string) *unstructured.Unstructured {
	route := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &route.Object); err != nil {
		panic("this is a bug: " + err.Error())
	}
	return route
}

// shares returns the backends of each rule with their weights: "shop-stable=80 shop-canary=20".
func (k kind) shares(route *unstructured.Unstructured) []string {
	rules, _, _ := unstructured.NestedSlice(route.Object, k.rules...)
	var all []string
	for _, rule := range rules {
		backends, _, _ := unstructured.NestedSlice(rule.(map[string]any), k.backends)
		var shares []string
		for _, b := range backends {
			backend := b.(map[string]any)
			name, _ := backend["name"].(string)
			if service, ok := backend["serviceName"].(string); ok {
				name = service
			}
			if host, ok, _ := unstructured.NestedString(backend, "destination", "host"); ok {
				name = host
			}
			shares = append(shares, fmt.Sprintf("%s=%v", name, backend["weight"]))
		}
		all = append(all, strings.Join(shares, " "))
	}
	return all
}
