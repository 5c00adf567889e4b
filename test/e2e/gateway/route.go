package gateway

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// Kind is a kind of route.
type Kind struct {
	Name     string // HTTPRoute or Ingress
	Resource schema.GroupVersionResource
	manifest string
}

// HTTPRoute and Ingress are the kinds of routes that Traefik serves here.
var (
	HTTPRoute = Kind{"HTTPRoute", schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web
spec:
  parentRefs:
  - {group: gateway.networking.k8s.io, kind: Gateway, name: web, namespace: gateway}
  hostnames: [%s]
  rules:
  - matches:
    - path: {type: PathPrefix, value: /}
    backendRefs:
    - {group: "", kind: Service, name: web, port: 80, weight: 1}
`}
	Ingress = Kind{"Ingress", schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
spec:
  ingressClassName: nginx
  rules:
  - host: %s
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
`}
)

// Kinds are both.
var Kinds = []Kind{HTTPRoute, Ingress}

// Host returns the host of the routes of a namespace.
func Host(namespace string) string { return namespace + ".example.com" }

// Route returns the route "web" of a namespace, which sends everything to the Service "web", port 80.
func (k Kind) Route(namespace string) *unstructured.Unstructured {
	var route unstructured.Unstructured
	if err := yaml.Unmarshal(fmt.Appendf(nil, k.manifest, Host(namespace)), &route.Object); err != nil {
		panic("this is a bug: " + err.Error())
	}
	route.SetNamespace(namespace)
	return &route
}

// Routes returns the client of the routes of a kind, as the admin.
func (g *Gateway) Routes(kind Kind, namespace string) dynamic.ResourceInterface {
	return g.Dynamic.Resource(kind.Resource).Namespace(namespace)
}

// CreateRoute creates the route "web" of a namespace and returns it once requests get through.
func (g *Gateway) CreateRoute(t testing.TB, kind Kind, namespace string) *unstructured.Unstructured {
	t.Helper()
	_, err := g.Routes(kind, namespace).Create(t.Context(), kind.Route(namespace), metav1.CreateOptions{})
	require.NoError(t, err)
	g.Await(t, Host(namespace), "the route is served", func(a Answer) bool { return a.Status == http.StatusOK })
	return g.ReadRoute(t, kind, namespace)
}

// ReadRoute returns the route "web" of a namespace.
func (g *Gateway) ReadRoute(t testing.TB, kind Kind, namespace string) *unstructured.Unstructured {
	t.Helper()
	route, err := g.Routes(kind, namespace).Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	return route
}
