package traffic

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary/traffic/split"
)

// referenceGrantKind lets routes of other namespaces send requests to Services of its own.
var referenceGrantKind = schema.GroupKind{Group: split.GatewayGroup, Kind: "ReferenceGrant"}

// elsewhere notes the routes of other namespaces that send requests to a Service: sluice divides none of them, since
// whoever may change the workload need not be allowed to change those. They are looked for where a ReferenceGrant lets
// them. A VirtualService needs none, and to find it costs a list of all that the cluster has.
func (l *look) elsewhere(ctx context.Context, s *service) error {
	for _, from := range l.grants {
		routes, err := l.list(ctx, schema.GroupKind{Group: split.GatewayGroup, Kind: from.kind}, client.InNamespace(from.namespace))
		if err != nil {
			return fmt.Errorf("namespace %s: %w", from.namespace, err)
		}
		for _, route := range routes {
			if sendsTo(route, l.workload.Namespace, s.names.Service) {
				l.notes.add(fmt.Sprintf("%s of namespace %s is not divided: it is of another namespace", nameOf(route), from.namespace))
			}
		}
	}
	return nil
}

// grant is who may send requests to the Services of a namespace.
type grant struct{ kind, namespace string }

// readGrants lists who may, without the namespace itself.
func (l *look) readGrants(ctx context.Context) error {
	found, err := l.list(ctx, referenceGrantKind, client.InNamespace(l.workload.Namespace))
	if err != nil {
		return fmt.Errorf("namespace %s: %w", l.workload.Namespace, err)
	}
	seen := map[grant]bool{}
	for _, object := range found {
		entries, _, _ := unstructured.NestedSlice(object.Object, "spec", "from")
		for _, entry := range entries {
			from, _ := entry.(map[string]any)
			kind, _ := from["kind"].(string)
			namespace, _ := from["namespace"].(string)
			g := grant{kind, namespace}
			if (kind != "HTTPRoute" && kind != "GRPCRoute") || from["group"] != split.GatewayGroup || namespace == l.workload.Namespace || seen[g] {
				continue
			}
			seen[g] = true
			l.grants = append(l.grants, g)
		}
	}
	return nil
}

// sendsTo tells whether a route names a Service of a namespace that is not its own.
func sendsTo(route *unstructured.Unstructured, namespace, service string) bool {
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		backends, _, _ := unstructured.NestedSlice(fields, "backendRefs")
		for _, backend := range backends {
			b, _ := backend.(map[string]any)
			if b["namespace"] == namespace && b["name"] == service {
				return true
			}
		}
	}
	return false
}
