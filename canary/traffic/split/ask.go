package split

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Ask returns the value of RecordAnnotation by which sluice's controller asks admission for a share of one Service
// of a route; nil: to restore that one. What stands there of other Services stays. For the share that the route is
// split for already it is the value that stands there, and "" is no annotation.
//
// A share that is to end stays in the record, as such, and ActiveLabel on the route: admission takes both away when it
// restores the route. A request that the API server lets pass without admission has changed nothing then, and the
// same request again does.
func Ask(route *unstructured.Unstructured, service string, share *Share) (string, error) {
	all, err := recordsOf(node{"", route.Object})
	if err != nil {
		return "", err
	}
	there, ok := all[service]
	if share == nil {
		if !ok {
			return all.text()
		}
		there.Ended = true
		return all.with(service, &there)
	}
	if err := share.validate(); err != nil {
		return "", err
	}
	if share.Service != service {
		return "", fmt.Errorf("the share is one of Service %s, not of %s", share.Service, service)
	}
	if !ok && len(all) >= mostServices {
		return "", fmt.Errorf("metadata.annotations[%s]: the route is split for %d Services, and no more are allowed", RecordAnnotation, len(all))
	}
	r := record{Stable: share.Stable, Canary: share.Canary, Workload: share.Workload, Backends: there.Backends}
	if !isIngress(route) { // its canary Ingress has them
		r.Weight, r.Match = share.Weight, share.Match.String()
	}
	return all.with(service, &r)
}

func isIngress(route *unstructured.Unstructured) bool {
	provider, _ := For(route.GroupVersionKind().GroupKind())
	_, is := provider.(ingress)
	return is
}
