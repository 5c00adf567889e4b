package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// postponement is why a change is kept from a workload until somebody acts, or for a long time.
type postponement struct{ reason, message string }

// tellPostponed brings the workload's condition in line with what the look came to: it is there for as long
// as a change is kept from the workload, with the reason of the Event.
func (r *reconciler) tellPostponed(ctx context.Context, s *snapshot) error {
	if toldPostponed(s.object) == s.postponed {
		return nil
	}
	condition := map[string]any{"type": hashing.ConditionConfigPostponed, "$patch": "delete"}
	if s.postponed.reason != "" {
		now := r.now().UTC().Format(time.RFC3339)
		condition = map[string]any{
			"type": hashing.ConditionConfigPostponed, "status": "True",
			"reason": s.postponed.reason, "message": s.postponed.message, "lastTransitionTime": now,
		}
		if s.kind == canary.Deployment {
			condition["lastUpdateTime"] = now
		}
	}
	// The conditions are a list by type, so a strategic merge leaves everybody else's alone.
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{condition}}})
	if err != nil {
		return fmt.Errorf("encoding the condition of %s: %w", s, err)
	}
	target, _ := kinds[s.kind].object.DeepCopyObject().(client.Object)
	target.SetNamespace(s.Namespace)
	target.SetName(s.Name)
	err = r.live.Status().Patch(ctx, target, client.RawPatch(types.StrategicMergePatchType, patch), fieldManager)
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("writing the condition of %s of namespace %s: %w", s, s.Namespace, err)
	}
	return nil
}

// toldPostponed returns what the condition of the workload says, nothing where there is none.
func toldPostponed(object *unstructured.Unstructured) postponement {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		fields, _ := c.(map[string]any)
		if fields["type"] == hashing.ConditionConfigPostponed {
			reason, _ := fields["reason"].(string)
			message, _ := fields["message"].(string)
			return postponement{reason, message}
		}
	}
	return postponement{}
}
