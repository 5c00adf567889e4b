package eject

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var endpointSlices = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")

// canaryEndpoints tells whether the Services still have pods that are not the stable version's: endpoints follow pods
// with a delay. That is waited for, but never for long, since there may be pods of somebody else's by now.
func (e *Ejector) canaryEndpoints(ctx context.Context, item *Item, f *front) (bool, error) {
	if item.traffic.alone.IsZero() {
		item.traffic.alone = e.Clock.Now()
	}
	if e.Clock.Since(item.traffic.alone) >= min(settles, e.Timeout) {
		return false, nil
	}
	for _, p := range f.parts {
		if !p.reached(toStable) {
			continue
		}
		stable, err := e.selected(ctx, item, f, p.names.Stable)
		if err != nil {
			return false, err
		}
		live := map[types.UID]bool{}
		for i := range stable {
			live[stable[i].UID] = stable[i].DeletionTimestamp == nil
		}
		if left, err := e.hasOthers(ctx, item.Namespace, p.names.Service, live); left || err != nil {
			return left, err
		}
	}
	return false, nil
}

// hasOthers tells whether a Service has ready endpoints that are none of these pods. Whoever may not look knows of none.
func (e *Ejector) hasOthers(ctx context.Context, namespace, service string, pods map[types.UID]bool) (bool, error) {
	items, err := e.list(ctx, endpointSlices, namespace, labels.Set{discoveryv1.LabelServiceName: service}.AsSelector())
	if apierrors.IsForbidden(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	slices, err := decodeAll[discoveryv1.EndpointSlice](items)
	if err != nil {
		return false, err
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			if ready && endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod" && !pods[endpoint.TargetRef.UID] {
				return true, nil
			}
		}
	}
	return false, nil
}
