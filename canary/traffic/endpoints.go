package traffic

import (
	"context"
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podSet are the UIDs of pods.
type podSet map[types.UID]bool

// within tells whether every pod is in another set too.
func (p podSet) within(other podSet) bool {
	for uid := range p {
		if !other[uid] {
			return false
		}
	}
	return true
}

// without returns the pods that are not in another set.
func (p podSet) without(other podSet) podSet {
	rest := podSet{}
	for uid := range p {
		if !other[uid] {
			rest[uid] = true
		}
	}
	return rest
}

// endpoints returns the ready pods of each of the Services, as gateways see them. One of which there are no endpoints
// objects is not in the result.
func (r *Router) endpoints(ctx context.Context, namespace string, services []string) (map[string]podSet, error) {
	if len(services) == 0 {
		return nil, nil
	}
	of, err := labels.NewRequirement(discoveryv1.LabelServiceName, selection.In, services)
	if err != nil {
		return nil, fmt.Errorf("selecting endpoints of %v: %w", services, err)
	}
	slices := &discoveryv1.EndpointSliceList{}
	err = r.client.List(ctx, slices, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*of)})
	if err != nil {
		return nil, fmt.Errorf("listing endpoints of namespace %s: %w", namespace, err)
	}
	ready := map[string]podSet{}
	for _, slice := range slices.Items {
		name := slice.Labels[discoveryv1.LabelServiceName]
		if ready[name] == nil {
			ready[name] = podSet{}
		}
		for _, endpoint := range slice.Endpoints {
			if isReady(endpoint) && endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod" {
				ready[name][endpoint.TargetRef.UID] = true
			}
		}
	}
	return ready, nil
}

func isReady(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }
