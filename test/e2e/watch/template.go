package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// templateKey names a pod template: equal for a Deployment and its ReplicaSets, which have one more
// label, and for a StatefulSet and its ControllerRevisions. It is computed apart from sluice's own hash, so that a fault there shows.
func templateKey(t corev1.PodTemplateSpec) string {
	t = *t.DeepCopy()
	delete(t.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	raw, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: encoding a pod template: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:4])
}

// conditionKeys are the conditions that sluice sets, as managedFields names them.
var conditionKeys = map[string]bool{
	`k:{"type":"Reconciling"}`: true, `k:{"type":"Stalled"}`: true, `k:{"type":"ConfigPostponed"}`: true,
}

// foreignFields lists what managers of sluice's own outside metadata and its own conditions.
func foreignFields(entries []metav1.ManagedFieldsEntry) []string {
	var found []string
	for _, e := range entries {
		if !strings.Contains(e.Manager, "sluice") || e.FieldsV1 == nil {
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields); err != nil {
			found = append(found, fmt.Sprintf("managedFields of %s cannot be read: %v", e.Manager, err))
			continue
		}
		for field, below := range fields {
			if field != "f:metadata" && !(field == "f:status" && ownConditions(below)) {
				found = append(found, fmt.Sprintf("manager %s owns %s%s", e.Manager, field, below))
			}
		}
	}
	return found
}

// ownConditions tells whether these fields of a status are conditions that sluice sets, and nothing else.
func ownConditions(status json.RawMessage) bool {
	var fields map[string]map[string]json.RawMessage
	if json.Unmarshal(status, &fields) != nil || len(fields) != 1 {
		return false
	}
	for key := range fields["f:conditions"] {
		if key != "." && !conditionKeys[key] {
			return false
		}
	}
	return fields["f:conditions"] != nil
}

// revisionKey names the template in a ControllerRevision of a StatefulSet, empty where it has none: sluice
// keeps other things in those that it makes.
func revisionKey(r *appsv1.ControllerRevision) string {
	var data struct {
		Spec *struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(r.Data.Raw, &data); err != nil || data.Spec == nil {
		return ""
	}
	return templateKey(data.Spec.Template)
}
