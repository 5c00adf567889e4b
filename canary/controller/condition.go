package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// conditionsOf returns those conditions of a workload that are of types that sluice sets.
func conditionsOf(w *appsv1.Deployment) []canary.Condition {
	var found []canary.Condition
	for _, c := range w.Status.Conditions {
		condition := canary.Condition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message}
		if condition.OfOurType() {
			found = append(found, condition)
		}
	}
	return found
}

// untell takes sluice's conditions off a workload that has no release.
func (r *reconciler) untell(ctx context.Context, s *snapshot) error {
	if s.workload == nil || !slices.ContainsFunc(conditionsOf(&s.workload.typed), canary.Condition.IsOurs) {
		return nil
	}
	return r.patchConditions(ctx, s, nil)
}

// patchConditions makes this the one condition of sluice's in the workload's status, nil: there is none.
// The native controllers keep what they find there. The resourceVersion guards their conditions, which
// a merge patch cannot name one by one.
func (r *reconciler) patchConditions(ctx context.Context, s *snapshot, condition *canary.Condition) error {
	object := s.workload.object
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return fmt.Errorf("reading the conditions of %s %s: %w", strings.ToLower(r.kind.Kind), s.key, err)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": object.GetResourceVersion()},
		"status":   map[string]any{"conditions": r.replace(conditions, condition)},
	})
	if err != nil {
		return fmt.Errorf("encoding the conditions of %s: %w", s.key, err)
	}
	target := newObject(r.kind)
	target.SetNamespace(s.key.Namespace)
	target.SetName(s.key.Name)
	if err := r.client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), fieldManager); err != nil {
		return fmt.Errorf("writing the conditions of %s %s: %w", strings.ToLower(r.kind.Kind), s.key, err)
	}
	return nil
}

// replace returns the conditions with this one in place of sluice's own.
func (r *reconciler) replace(conditions []any, condition *canary.Condition) []any {
	now := r.now().UTC().Format(time.RFC3339)
	since := ""
	others := slices.DeleteFunc(slices.Clone(conditions), func(c any) bool {
		fields, _ := c.(map[string]any)
		kind, _ := fields["type"].(string)
		reason, _ := fields["reason"].(string)
		if !(canary.Condition{Type: kind, Reason: reason}).IsOurs() {
			return false
		}
		if condition != nil && kind == condition.Type {
			since, _ = fields["lastTransitionTime"].(string)
		}
		return true
	})
	if condition == nil {
		return others
	}
	fields := map[string]any{
		"type": condition.Type, "status": condition.Status, "reason": condition.Reason, "message": condition.Message,
		"lastTransitionTime": cmp.Or(since, now),
	}
	if r.kind == deploymentKind {
		fields["lastUpdateTime"] = now
	}
	return append(others, fields)
}
