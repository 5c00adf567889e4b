package eject

import (
	"bytes"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// ended returns the object as it is to be once its release has ended: whatever else it holds, known to
// this program or not, stays as it is. Template is nil where the one in the spec stays.
func ended(object *unstructured.Unstructured, want *canary.Want, template []byte) (*unstructured.Unstructured, error) {
	after := object.DeepCopy()
	after.SetLabels(with(after.GetLabels(), want.Labels))
	after.SetAnnotations(with(after.GetAnnotations(), want.Annotations))
	if want.MaxSurge != nil {
		var surge any
		if err := kjson.UnmarshalCaseSensitivePreserveInts(want.MaxSurge, &surge); err != nil {
			return nil, fmt.Errorf("decoding the maxSurge of before: %w", err)
		}
		if err := unstructured.SetNestedField(after.Object, surge, "spec", "strategy", "rollingUpdate", "maxSurge"); err != nil {
			return nil, err
		}
	}
	if want.Paused != nil && object.GetKind() == canary.Deployment {
		unstructured.RemoveNestedField(after.Object, "spec", "paused")
		if *want.Paused {
			if err := unstructured.SetNestedField(after.Object, true, "spec", "paused"); err != nil {
				return nil, err
			}
		}
	}
	if want.Partition != nil && object.GetKind() == canary.StatefulSet {
		err := unstructured.SetNestedField(after.Object, int64(*want.Partition), "spec", "updateStrategy", "rollingUpdate", "partition")
		if err != nil {
			return nil, err
		}
	}
	if template == nil {
		return after, nil
	}
	var fields map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(template, &fields); err != nil {
		return nil, fmt.Errorf("decoding the stable template: %w", err)
	}
	unstructured.RemoveNestedField(fields, "metadata", "labels", appsv1.DefaultDeploymentUniqueLabelKey)
	return after, unstructured.SetNestedMap(after.Object, fields, "spec", "template")
}

// with returns the values with those that are wanted; a nil value: absent.
func with(values map[string]string, want map[string]*string) map[string]string {
	for key, value := range want {
		if value == nil {
			delete(values, key)
			continue
		}
		if values == nil {
			values = map[string]string{}
		}
		values[key] = *value
	}
	return values
}

// isEnded tells whether an object has no release, as the webhooks' match conditions ask.
func isEnded(object metav1.Object) bool {
	_, labelled := object.GetLabels()[canary.ActiveLabel]
	_, stated := object.GetAnnotations()[canary.ReleaseAnnotation]
	return !labelled && !stated
}

// disowned returns the object without the entries of this program in managedFields, nil where there are
// none: what nobody owns, the next apply of anybody owns without a conflict.
func disowned(object *unstructured.Unstructured) *unstructured.Unstructured {
	var others []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != canary.EjectManager {
			others = append(others, entry)
		}
	}
	if len(others) == len(object.GetManagedFields()) {
		return nil
	}
	after := object.DeepCopy()
	after.SetManagedFields(others)
	return after
}

// untold returns the object without sluice's conditions in its status, nil where there are none.
func untold(object *unstructured.Unstructured) *unstructured.Unstructured {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	var others []any
	for _, condition := range conditions {
		if !tells(condition) {
			others = append(others, condition)
		}
	}
	if len(others) == len(conditions) {
		return nil
	}
	after := object.DeepCopy()
	unstructured.RemoveNestedField(after.Object, "status", "conditions")
	if len(others) > 0 {
		if err := unstructured.SetNestedSlice(after.Object, others, "status", "conditions"); err != nil {
			return nil
		}
	}
	return after
}

// tells whether a condition is sluice's: others may use the same types, but not a release's phases for
// reasons.
func tells(condition any) bool {
	fields, ok := condition.(map[string]any)
	kind, _ := fields["type"].(string)
	reason, _ := fields["reason"].(string)
	return ok && (kind == hashing.ConditionConfigPostponed || canary.Condition{Type: kind, Reason: reason}.IsOurs())
}

// decodeFor returns what package canary needs of an object.
func decodeFor(object *unstructured.Unstructured) (*canary.Workload, error) {
	raw, err := json.Marshal(object.Object)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", object.GetName(), err)
	}
	return canary.DecodeWorkload(bytes.TrimSpace(raw))
}
