package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// Steer makes the write that the first route lacks which does not divide requests by a share; nil: none by any. The
// state that was looked at says that there is one.
func (r *Router) Steer(ctx context.Context, v *View, share *canary.Share) error {
	for i, p := range v.parts {
		route := v.State.Routes[i]
		if !route.Differs && canary.SameShare(route.Share, share) {
			continue
		}
		if share == nil && route.Share == nil && p.companion == nil && !slices.Contains(recorded(p.route, ""), p.names.Service) {
			share = &canary.Share{} // what is left of a division has no record to be given back by: that comes first
		}
		if share == nil {
			return r.restore(ctx, p)
		}
		match := split.Match{}
		if share.Match != "" {
			var err error
			if match, err = split.ParseMatch(share.Match); err != nil {
				return fmt.Errorf("dividing %s: %w", route.Name, err)
			}
		}
		return r.divide(ctx, v.workload, p, split.Share{Names: p.names, Weight: share.Weight, Match: match, Workload: v.workload.subject()})
	}
	return nil
}

// divide writes a route, or its canary Ingress once the main one points at the stable version: else the canary's
// pods would get a share of both.
func (r *Router) divide(ctx context.Context, w Workload, p part, share split.Share) error {
	if p.route.GroupVersionKind().GroupKind() != split.Ingress {
		return r.ask(ctx, p, &share)
	}
	result, err := providerOf(p.route).Split(p.route, share)
	if err != nil {
		return fmt.Errorf("dividing %s: %w", nameOf(p.route), err)
	}
	if !isAsked(p.route, result.Route) {
		return r.ask(ctx, p, &share)
	}
	return r.writeCanary(ctx, w, p.companion, result.Companion)
}

// restore gives a route back and then deletes its canary Ingress: what the main one points at meanwhile may have no
// pods any more.
func (r *Router) restore(ctx context.Context, p part) error {
	if p.companion == nil || slices.Contains(recorded(p.route, ""), p.names.Service) {
		return r.ask(ctx, p, nil)
	}
	return r.deleteCanary(ctx, p.companion)
}

func (r *Router) deleteCanary(ctx context.Context, ingress *unstructured.Unstructured) error {
	uid := ingress.GetUID()
	if err := r.client.Delete(ctx, ingress, client.Preconditions{UID: &uid}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting canary %s: %w", nameOf(ingress), err)
	}
	return nil
}

// ask writes a route's record, by which admission divides it; nil: gives it back.
func (r *Router) ask(ctx context.Context, p part, share *split.Share) error {
	record, err := split.Ask(p.route, p.names.Service, share)
	if err != nil {
		return fmt.Errorf("dividing %s: %w", nameOf(p.route), err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": p.route.GetResourceVersion(),
		"annotations":     map[string]any{split.RecordAnnotation: orRemoved(record, record)},
		"labels":          map[string]any{canary.ActiveLabel: orRemoved(record, "true")},
	}})
	if err != nil {
		return fmt.Errorf("encoding the record of %s: %w", nameOf(p.route), err)
	}
	written := &unstructured.Unstructured{}
	written.SetGroupVersionKind(p.route.GroupVersionKind())
	written.SetNamespace(p.route.GetNamespace())
	written.SetName(p.route.GetName())
	if err := r.client.Patch(ctx, written, client.RawPatch(types.MergePatchType, patch), fieldManager); err != nil {
		return fmt.Errorf("dividing %s of namespace %s: %w", nameOf(p.route), p.route.GetNamespace(), err)
	}
	return answered(p, written, share)
}

// orRemoved is a value of a merge patch: null where there is no record.
func orRemoved(record, value string) any {
	if record == "" {
		return nil
	}
	return value
}

// answered is an error where admission did not make the route of its record.
func answered(p part, written *unstructured.Unstructured, share *split.Share) error {
	after := part{route: written, names: p.names}
	if share == nil && !differs(after, nil) {
		return nil
	}
	if share != nil {
		result, err := providerOf(written).Split(written, *share)
		if err == nil && isAsked(written, result.Route) {
			return nil
		}
	}
	return fmt.Errorf("%s of namespace %s was not divided when sluice asked for it: the webhook routes.sluice.dev did not answer, or another one undid it",
		nameOf(p.route), p.route.GetNamespace())
}

// isAsked tells whether a route is what Split makes of it.
func isAsked(route, divided *unstructured.Unstructured) bool {
	return equality.Semantic.DeepEqual(route.Object, divided.Object) && route.GetLabels()[canary.ActiveLabel] == "true"
}

// writeCanary makes or changes a canary Ingress.
func (r *Router) writeCanary(ctx context.Context, w Workload, is, want *unstructured.Unstructured) error {
	want.SetLabels(map[string]string{
		canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name),
		canary.ActiveLabel:   "true",
	})
	if is == nil {
		if err := r.client.Create(ctx, want, fieldManager); err != nil {
			return fmt.Errorf("creating canary %s: %w", nameOf(want), err)
		}
		return nil
	}
	want.SetResourceVersion(is.GetResourceVersion())
	if err := r.client.Update(ctx, want, fieldManager); err != nil {
		return fmt.Errorf("updating canary %s: %w", nameOf(want), err)
	}
	return nil
}
