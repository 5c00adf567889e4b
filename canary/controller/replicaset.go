package controller

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// hashLabel tells the pods of a Deployment's ReplicaSets apart.
const hashLabel = appsv1.DefaultDeploymentUniqueLabelKey

// replicaSet is a ReplicaSet as it was read.
type replicaSet struct {
	object *unstructured.Unstructured
	typed  appsv1.ReplicaSet // without the template
	state  canary.ReplicaSet
}

// decodeReplicaSet returns nil where the ReplicaSet is none of the workload's business: it is being
// deleted, or another object is its controller or its Deployment.
func decodeReplicaSet(object *unstructured.Unstructured, w *workload) (*replicaSet, error) {
	rs := &replicaSet{object: object}
	template, err := decodeAround(object, &rs.typed)
	if err != nil {
		return nil, err
	}
	controlledBy := metav1.GetControllerOfNoCopy(&rs.typed)
	owned := controlledBy != nil && controlledBy.UID == w.typed.UID
	referenced := refersTo(&rs.typed, w.typed.UID)
	foreign := (controlledBy != nil && !owned) || (!referenced && ownerName(&rs.typed) != "")
	if foreign || rs.typed.DeletionTimestamp != nil {
		return nil, nil
	}
	rs.state = canary.ReplicaSet{
		Name:               rs.typed.Name,
		UID:                string(rs.typed.UID),
		ResourceVersion:    rs.typed.ResourceVersion,
		Owned:              owned,
		Referenced:         referenced,
		Labelled:           w.selector.Matches(labels.Set(rs.typed.Labels)),
		ReleaseID:          releaseID(&rs.typed, w.typed.Name),
		Revision:           rs.typed.Annotations[revisionAnnotation],
		Marks:              marksOf(rs.typed.Labels),
		MinReadySeconds:    rs.typed.Spec.MinReadySeconds,
		Generation:         rs.typed.Generation,
		ObservedGeneration: rs.typed.Status.ObservedGeneration,
		Replicas:           orOne(rs.typed.Spec.Replicas),
		StatusReplicas:     rs.typed.Status.Replicas,
		AvailableReplicas:  rs.typed.Status.AvailableReplicas,
	}
	if rs.state.TemplateHash, err = canary.HashTemplate(template); err != nil {
		return nil, fmt.Errorf("replica set %s: %w", rs.state.Name, err)
	}
	if rs.state.TemplateDigest, err = canary.TemplateDigest(template); err != nil {
		return nil, fmt.Errorf("replica set %s: %w", rs.state.Name, err)
	}
	return rs, nil
}

func refersTo(object metav1.Object, uid types.UID) bool {
	for _, ref := range object.GetOwnerReferences() {
		if ref.UID == uid {
			return true
		}
	}
	return false
}

// releaseID returns the release that made an object of this workload, 0 for any other object.
func releaseID(object metav1.Object, workloadName string) int64 {
	if object.GetLabels()[canary.WorkloadLabel] != canary.WorkloadLabelValue(workloadName) {
		return 0
	}
	id, err := strconv.ParseInt(object.GetLabels()[canary.ReleaseLabel], 10, 64)
	if err != nil {
		return 0
	}
	return id
}

func marksOf(labels map[string]string) canary.Marks {
	return canary.Marks{
		Phase:  canary.Phase(labels[canary.PhaseLabel]),
		Step:   labels[canary.StepLabel],
		Weight: labels[canary.WeightLabel],
	}
}

// setMarks sets the labels that show the state of a release; an empty mark is an absent label.
func setMarks(labels map[string]string, marks canary.Marks) {
	for key, value := range map[string]string{
		canary.PhaseLabel:  string(marks.Phase),
		canary.StepLabel:   marks.Step,
		canary.WeightLabel: marks.Weight,
	} {
		if value == "" {
			delete(labels, key)
		} else {
			labels[key] = value
		}
	}
}

// sluiceLabels are all labels that sluice puts on objects which it makes.
var sluiceLabels = []string{
	canary.WorkloadLabel, canary.ReleaseLabel, canary.PhaseLabel, canary.StepLabel, canary.WeightLabel,
}
