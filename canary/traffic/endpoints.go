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

// ofCanary counts the endpoints of the Service of a canary that are pods of its version, and that nobody has deleted:
// endpoints follow pods, and what a Service selects, with a delay.
func (l *look) ofCanary(ctx context.Context, s *service, listed podSet) (count int32, err error) {
	if s.canary == nil || len(listed) == 0 {
		return 0, nil
	}
	pods, err := l.pods(ctx, s.canary)
	for _, pod := range pods {
		if listed[pod.UID] && pod.DeletionTimestamp == nil {
			count++
		}
	}
	return count, err
}

// count says what the ready pods behind each Service come to.
func (l *look) count(ctx context.Context, ready map[string]podSet) error {
	state := &l.view.State
	state.OnlyStable, state.OnlyCanary = true, true
	for i, s := range l.view.services {
		own, stable, onCanary := ready[s.names.Service], ready[s.names.Stable], ready[s.names.Canary]
		if s.lost != "" {
			own = nil // they are not the workload's
		}
		state.Unlisted = state.Unlisted || s.lost == "" && (stable == nil || onCanary == nil)
		state.Empty = state.Empty || s.lost == "" && len(own) == 0 && len(stable)+len(onCanary) > 0
		state.OnlyStable = state.OnlyStable && own.within(stable) && len(onCanary) == 0
		state.OnlyCanary = state.OnlyCanary && own.within(onCanary)
		if i == 0 || int32(len(stable)) < state.StableEndpoints {
			state.StableEndpoints = int32(len(stable)) // as many as a namespace has pods
		}
		ofCanary := int32(len(onCanary))
		if !state.Sends() { // an abort of what gets requests is not to wait for another list
			var err error
			if ofCanary, err = l.ofCanary(ctx, s, onCanary); err != nil {
				return err
			}
		}
		if i == 0 || ofCanary < state.CanaryEndpoints {
			state.CanaryEndpoints = ofCanary
		}
	}
	return nil
}
