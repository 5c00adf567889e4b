package traffic

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary/traffic/split"
)

var (
	tlsPolicyKind       = schema.GroupKind{Group: split.GatewayGroup, Kind: "BackendTLSPolicy"}
	destinationRuleKind = schema.GroupKind{Group: "networking.istio.io", Kind: "DestinationRule"}
	apisixUpstreamKind  = schema.GroupKind{Group: "apisix.apache.org", Kind: "ApisixUpstream"}
)

// binding is a kind of object that says how requests are sent to a Service, by the Service's name: whether with TLS, to
// which of its pods, how often again. The Services of the two versions have other names. Requests would be sent to
// them as if nothing had been said: in clear to pods that speak TLS.
type binding struct {
	kind schema.GroupKind
	// concerns tells whether the provider of a route goes by such objects.
	concerns func(route *unstructured.Unstructured) bool
	// covers tells whether an object is about a Service of its namespace.
	covers func(object *unstructured.Unstructured, service string) bool
}

var bindings = []binding{
	{tlsPolicyKind, isOfGatewayAPI, tlsPolicyCovers},
	{destinationRuleKind, isSentByIstio, destinationRuleCovers},
	{apisixUpstreamKind, isOfAPISIX, apisixUpstreamCovers},
}

// bound says what is bound to a route's Service and not to the two of sluice's, which keeps the route whole; empty
// where nothing is. What cannot be read keeps it whole, too, and no release from being aborted.
func (l *look) bound(ctx context.Context, p part) string {
	for _, b := range bindings {
		if !b.concerns(p.route) {
			continue
		}
		objects, err := l.bindingsOf(ctx, b.kind)
		if err != nil {
			return fmt.Sprintf("it is not known whether a %s is bound to Service %s: %s", strings.ToLower(b.kind.Kind), p.names.Service, err)
		}
		if object := b.missing(objects, p.names); object != nil {
			return fmt.Sprintf("%s is bound to Service %s by its name, and nothing like it to %s and %s: bind one to these two, too",
				nameOf(object), p.names.Service, p.names.Stable, p.names.Canary)
		}
	}
	return ""
}

// bindingsOf lists a kind once in a look.
func (l *look) bindingsOf(ctx context.Context, kind schema.GroupKind) ([]*unstructured.Unstructured, error) {
	if objects, ok := l.bindings[kind]; ok {
		return objects, nil
	}
	objects, err := l.list(ctx, kind, client.InNamespace(l.workload.Namespace))
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", l.workload.Namespace, err)
	}
	if l.bindings == nil {
		l.bindings = map[schema.GroupKind][]*unstructured.Unstructured{}
	}
	l.bindings[kind] = objects
	return objects, nil
}

// missing returns an object of the user's Service where one of sluice's two has none, nil where that is not so. What
// covers all three makes no difference, and does not stand in for what is more specific. That those of the two say the
// same is up to whoever wrote them for these names.
func (b binding) missing(objects []*unstructured.Unstructured, names split.Names) *unstructured.Unstructured {
	var own *unstructured.Unstructured
	stable, onCanary := false, false
	for _, o := range objects {
		isOwn, isStable, isCanary := b.covers(o, names.Service), b.covers(o, names.Stable), b.covers(o, names.Canary)
		if isOwn && isStable && isCanary {
			continue
		}
		if isOwn && own == nil {
			own = o
		}
		stable, onCanary = stable || isStable, onCanary || isCanary
	}
	if stable && onCanary {
		return nil
	}
	return own
}

func isOfGatewayAPI(route *unstructured.Unstructured) bool {
	return route.GroupVersionKind().Group == split.GatewayGroup
}

func isOfAPISIX(route *unstructured.Unstructured) bool {
	return route.GroupVersionKind().Group == apisixUpstreamKind.Group
}

// isSentByIstio: beside its own routes, those of the Gateway API that one of its controllers reports on.
func isSentByIstio(route *unstructured.Unstructured) bool {
	if !isOfGatewayAPI(route) {
		return route.GroupVersionKind().Group == destinationRuleKind.Group
	}
	parents, _, _ := unstructured.NestedSlice(route.Object, "status", "parents")
	return slices.ContainsFunc(parents, func(parent any) bool {
		fields, _ := parent.(map[string]any)
		name, _ := fields["controllerName"].(string)
		return strings.HasPrefix(name, "istio.io/")
	})
}

func tlsPolicyCovers(policy *unstructured.Unstructured, service string) bool {
	targets, _, _ := unstructured.NestedSlice(policy.Object, "spec", "targetRefs")
	return slices.ContainsFunc(targets, func(target any) bool {
		fields, _ := target.(map[string]any)
		return fields["group"] == "" && fields["kind"] == "Service" && fields["name"] == service
	})
}

// destinationRuleCovers: a rule without a policy has but subsets, which count for routes that name one. Of hosts with
// dots Istio knows the whole name alone, and a "*" in front; one that is shorter is taken for what its people mean.
func destinationRuleCovers(rule *unstructured.Unstructured, service string) bool {
	policy, _, _ := unstructured.NestedFieldNoCopy(rule.Object, "spec", "trafficPolicy")
	host, _, _ := unstructured.NestedString(rule.Object, "spec", "host")
	label, rest, _ := strings.Cut(host, ".")
	namespace := rule.GetNamespace()
	switch {
	case policy == nil:
		return false
	case rest != "" && rest != namespace && rest != namespace+".svc" && !strings.HasPrefix(rest, namespace+".svc."):
		return false
	}
	end, wild := strings.CutPrefix(label, "*")
	return label == service || wild && strings.HasSuffix(service, end)
}

// apisixUpstreamCovers: subsets count for backends that name one, which are not divided.
func apisixUpstreamCovers(upstream *unstructured.Unstructured, service string) bool {
	spec, _, _ := unstructured.NestedMap(upstream.Object, "spec")
	delete(spec, "ingressClassName")
	delete(spec, "subsets")
	return upstream.GetName() == service && len(spec) > 0
}
