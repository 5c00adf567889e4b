package routes

import (
	"fmt"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
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
	backends string   // where in a rule; empty: it has paths, and its canary's share is on an Ingress beside it
	header   string   // how it says that something is for x-canary: yes
}

const gatewayGroup = "gateway.networking.k8s.io"

// besides: the canary's share is on another object.
func (k kind) besides() bool { return k.backends == "" }

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
	"Ingress": {
		resource: networkingv1.SchemeGroupVersion.WithResource("ingresses"),
		rules:    []string{"spec", "rules"}, header: `canary-by-header":"x-canary"`,
		routes: []string{ingress("shop", "nginx")},
	},
}

func ingress(name, class string) string {
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: "5"}}
spec:
  ingressClassName: %s
  tls: [{hosts: [shop.example.com], secretName: shop-tls}]
  rules:
  - host: shop.example.com
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]
`, name, class)
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

// shares returns the backends of each rule with their weights: "shop-stable=80 shop-canary=20". A canary Ingress is of a
// route that has one.
func (k kind) shares(route, canary *unstructured.Unstructured) []string {
	rules, _, _ := unstructured.NestedSlice(route.Object, k.rules...)
	var all []string
	for _, rule := range rules {
		if k.besides() {
			all = append(all, besideShare(rule.(map[string]any), canary))
			continue
		}
		backends, _, _ := unstructured.NestedSlice(rule.(map[string]any), k.backends)
		var shares []string
		for _, b := range backends {
			backend := b.(map[string]any)
			shares = append(shares, fmt.Sprintf("%s=%v", serviceOf(backend), backend["weight"]))
		}
		all = append(all, strings.Join(shares, " "))
	}
	return all
}

// serviceOf names the Service of a backend.
func serviceOf(backend map[string]any) string {
	for _, path := range [][]string{{"serviceName"}, {"destination", "host"}, {"backend", "service", "name"}} {
		if name, ok, _ := unstructured.NestedString(backend, path...); ok {
			return name
		}
	}
	name, _ := backend["name"].(string)
	return name
}

// besideShare is that of an Ingress's rule of one path. Requests that its canary Ingress does not take are the main one's.
func besideShare(rule map[string]any, canary *unstructured.Unstructured) string {
	main := serviceOf(firstPath(rule))
	if canary == nil {
		return main + "="
	}
	rules, _, _ := unstructured.NestedSlice(canary.Object, "spec", "rules")
	weight, _ := strconv.Atoi(canary.GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight"])
	return fmt.Sprintf("%s=%d %s=%d", main, 100-weight, serviceOf(firstPath(rules[0].(map[string]any))), weight)
}

func firstPath(rule map[string]any) map[string]any {
	paths, _, _ := unstructured.NestedSlice(rule, "http", "paths")
	return paths[0].(map[string]any)
}
