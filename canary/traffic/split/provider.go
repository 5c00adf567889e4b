package split

import (
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Provider knows one kind of route. Routes are as the API server's JSON decodes; they are not changed.
type Provider interface {
	// Split returns the route as it has to be for a share of the Service of that name in the route's namespace.
	// It does not matter whether the route is split already, was split for another share, or was rewritten
	// since: a share is in force where Split returns the route as it is. The error is ErrNoBackend where the
	// route has no backend of the Service; any other one names the place of what cannot be split.
	Split(route *unstructured.Unstructured, share Share) (Result, error)
	// Restore returns the route without what Split added for the Service. Other changes since then stay. A
	// route that holds nothing of it is returned as it is.
	Restore(route *unstructured.Unstructured, names Names) (*unstructured.Unstructured, error)
	// Read tells what the route says now, and what its provider says of it. The companion is the canary Ingress,
	// nil where there is none.
	Read(route, companion *unstructured.Unstructured, names Names) (Reading, error)
}

// ErrNoBackend is what Split returns, with the names, for a route that is none of the Service.
var ErrNoBackend = errors.New("no backend")

// Result is a split route.
type Result struct {
	Route *unstructured.Unstructured
	// Companion is the canary Ingress of an Ingress, nil for other kinds.
	Companion *unstructured.Unstructured
}

// Reading is what a route says.
type Reading struct {
	// Backends are the places of the Service's backends, "spec.rules[0].backendRefs[1]". A pair that one was
	// split into is one place.
	Backends []string
	// None says why there are no Backends; else it is empty.
	None string
	// Split: none of the Backends points at the Service itself.
	Split bool
	// Weight is the percentage of the Service's requests that goes to the canary by the spec, rounded up; where
	// backends differ, the greatest. It counts once Waiting is empty.
	Weight int32
	// Match is what is sent to the canary whatever the weight, empty where nothing is.
	Match Match
	// Waiting says what the provider has not accepted yet, as a sentence; empty where it has, or does not say.
	Waiting string
	// Accepted: every parent of a route of the Gateway API has accepted it, or did before it was changed last.
	Accepted bool
	// Inexact are sentences on what makes the share another one than Weight.
	Inexact []string
}

// GatewayGroup is that of the Gateway API, where every route says whether it is accepted.
const GatewayGroup = "gateway.networking.k8s.io"

// The kinds of routes that have a provider.
var (
	HTTPRoute      = schema.GroupKind{Group: GatewayGroup, Kind: "HTTPRoute"}
	GRPCRoute      = schema.GroupKind{Group: GatewayGroup, Kind: "GRPCRoute"}
	Ingress        = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	VirtualService = schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}
	ApisixRoute    = schema.GroupKind{Group: "apisix.apache.org", Kind: "ApisixRoute"}
)

// Kinds returns them in the order in which they are looked at.
func Kinds() []schema.GroupKind {
	return []schema.GroupKind{HTTPRoute, GRPCRoute, Ingress, VirtualService, ApisixRoute}
}

// For returns the provider for routes of a kind in any version, false where there is none. An Ingress is one
// only where its class is of the controller k8s.io/ingress-nginx, which its IngressClass says.
func For(kind schema.GroupKind) (Provider, bool) {
	switch kind {
	case HTTPRoute, GRPCRoute:
		return gateway, true
	case VirtualService:
		return istio, true
	case ApisixRoute:
		return apisix, true
	case Ingress:
		return ingress{}, true
	default:
		return nil, false
	}
}
