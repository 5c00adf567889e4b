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

// endpoints returns how many ready pods each of the Services has, as gateways see them.
func (r *Router) endpoints(ctx context.Context, namespace string, services []string) (map[string]int32, error) {
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
	ready := map[string]map[types.UID]bool{}
	for _, slice := range slices.Items {
		name := slice.Labels[discoveryv1.LabelServiceName]
		if ready[name] == nil {
			ready[name] = map[types.UID]bool{}
		}
		for _, endpoint := range slice.Endpoints {
			if isReady(endpoint) && endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod" {
				ready[name][endpoint.TargetRef.UID] = true
			}
		}
	}
	counts := map[string]int32{}
	for name, pods := range ready {
		counts[name] = int32(len(pods)) // as many as a namespace has pods
	}
	return counts, nil
}

func isReady(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }
