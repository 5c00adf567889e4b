package canary

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	trafficAuto = "auto"
	trafficNone = "none"
)

// routeKinds are the kinds of routes, as TrafficAnnotation names them.
var routeKinds = []string{"httproute", "grpcroute", "ingress", "virtualservice", "apisixroute"}

// TrafficPolicy says which routes are divided. The zero TrafficPolicy is "auto": those that are found.
type TrafficPolicy struct {
	// None: no route is.
	None bool
	// Named are the only ones that are, where there are any, in the order in which people named them.
	Named []RouteName
}

// RouteName names a route in the namespace of the workload.
type RouteName struct {
	// Kind is one of httproute, grpcroute, ingress, virtualservice and apisixroute.
	Kind string
	Name string
}

// String returns it as people write it, "httproute/web".
func (r RouteName) String() string { return r.Kind + "/" + r.Name }

// ParseTraffic parses the value of TrafficAnnotation: "auto", "none", or a comma list of KIND/NAME. The error names
// the value and the grammar.
func ParseTraffic(value string) (TrafficPolicy, error) {
	switch strings.TrimSpace(value) {
	case trafficAuto:
		return TrafficPolicy{}, nil
	case trafficNone:
		return TrafficPolicy{None: true}, nil
	}
	var policy TrafficPolicy
	for item := range strings.SplitSeq(value, ",") {
		route, fault := parseRouteName(strings.TrimSpace(item))
		if fault == "" && slices.Contains(policy.Named, route) {
			fault = "it is named twice"
		}
		if fault != "" {
			return TrafficPolicy{}, fmt.Errorf("%q: %q: %s; want %s, %s, or a comma list of %s/NAME, for example \"httproute/web, ingress/shop\"",
				value, strings.TrimSpace(item), fault, trafficAuto, trafficNone, strings.Join(routeKinds, "/NAME, "))
		}
		policy.Named = append(policy.Named, route)
	}
	return policy, nil
}

// parseRouteName returns a route, or what is wrong with its name.
func parseRouteName(item string) (RouteName, string) {
	kind, name, ok := strings.Cut(item, "/")
	switch {
	case !ok:
		return RouteName{}, "there is no \"/\" between kind and name"
	case !slices.Contains(routeKinds, kind):
		return RouteName{}, "its kind is none of a route"
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return RouteName{}, "its name is not that of an object"
	}
	return RouteName{Kind: kind, Name: name}, ""
}

// Divides returns which routes are divided under the policy, which was validated when it was stored.
func (p Policy) Divides() TrafficPolicy {
	policy, err := ParseTraffic(p.Traffic)
	if err != nil {
		return TrafficPolicy{} // "", or of a version that knows more kinds
	}
	return policy
}

// Spares returns whether some steps give the canary no requests, or certain ones alone.
func (p Policy) Spares() bool {
	return p.Match != "" || slices.ContainsFunc(p.steps(), func(s Step) bool { return s.Weight == 0 })
}
