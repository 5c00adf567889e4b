package controller

import (
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

// ownConditions returns those conditions of a workload that sluice set.
func ownConditions(all []appsv1.DeploymentCondition) []canary.Condition {
	var own []canary.Condition
	for _, c := range all {
		condition := canary.Condition{Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message}
		if condition.IsOurs() {
			own = append(own, condition)
		}
	}
	return own
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
	since := now
	others := slices.DeleteFunc(slices.Clone(conditions), func(c any) bool {
		fields, _ := c.(map[string]any)
		kind, _ := fields["type"].(string)
		if condition != nil && kind == condition.Type {
			since, _ = fields["lastTransitionTime"].(string)
		}
		return canary.Condition{Type: kind}.IsOurs()
	})
	if condition == nil {
		return others
	}
	fields := map[string]any{
		"type": condition.Type, "status": condition.Status, "reason": condition.Reason, "message": condition.Message,
		"lastTransitionTime": since,
	}
	if r.kind == deploymentKind {
		fields["lastUpdateTime"] = now
	}
	return append(others, fields)
}
