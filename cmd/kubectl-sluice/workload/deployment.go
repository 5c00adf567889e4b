package workload

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

var replicaSetResource = appsv1.SchemeGroupVersion.WithResource("replicasets")

// revisionAnnotation is the deployment controller's number of a template.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// deploymentRolledOut is the deployment controller's own definition of a complete rollout.
func deploymentRolledOut(w *Workload) bool {
	s := w.Status
	return s.ObservedGeneration >= w.Generation && s.UpdatedReplicas == w.Replicas &&
		s.Replicas == w.Replicas && s.AvailableReplicas == w.Replicas
}

// replicaSets returns the ReplicaSets of a Deployment: its own, and the canaries that its releases made,
// which match its selector only once they were adopted.
func replicaSets(ctx context.Context, r *Reader, w *Workload) ([]Revision, error) {
	marked := labels.SelectorFromSet(labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)})
	seen := map[types.UID]bool{}
	var found []Revision
	for _, selector := range []labels.Selector{w.selector, marked} {
		items, err := r.list(ctx, replicaSetResource, w.Namespace, selector)
		if err != nil {
			return nil, fmt.Errorf("listing the replica sets of %s: %w", w.Ref, err)
		}
		for i := range items {
			if seen[items[i].GetUID()] || !belongsTo(&items[i], w.UID) {
				continue
			}
			seen[items[i].GetUID()] = true
			revision, err := replicaSetRevision(w, &items[i])
			if err != nil {
				return nil, fmt.Errorf("replica set %s: %w", items[i].GetName(), err)
			}
			found = append(found, revision)
		}
	}
	return found, nil
}

// belongsTo tells whether the object is the workload's: it controls it, or nobody does and it is
// referred to, as a canary refers to its Deployment.
func belongsTo(object metav1.Object, uid types.UID) bool {
	if controller := metav1.GetControllerOfNoCopy(object); controller != nil {
		return controller.UID == uid
	}
	for _, ref := range object.GetOwnerReferences() {
		if ref.UID == uid {
			return true
		}
	}
	return false
}

func replicaSetRevision(w *Workload, object *unstructured.Unstructured) (Revision, error) {
	var fields struct {
		Spec struct {
			Replicas *int32 `json:"replicas"`
		} `json:"spec"`
		Status appsv1.ReplicaSetStatus `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &fields); err != nil {
		return Revision{}, fmt.Errorf("decoding it: %w", err)
	}
	number, _ := strconv.ParseInt(object.GetAnnotations()[revisionAnnotation], 10, 64) // a canary has none yet
	podLabel, _, _ := unstructured.NestedString(object.Object, "spec", "template", "metadata", "labels", w.Kind.PodLabel)
	revision := Revision{
		Name:        object.GetName(),
		Number:      number,
		PodLabel:    podLabel,
		Wanted:      1,
		Available:   fields.Status.AvailableReplicas,
		Created:     object.GetCreationTimestamp().Time,
		ChangeCause: object.GetAnnotations()[changeCauseAnnotation],
		Failure:     failureOf(fields.Status.Conditions),
	}
	if fields.Spec.Replicas != nil {
		revision.Wanted = *fields.Spec.Replicas
	}
	var err error
	if revision.Template, err = templateOf(object); err != nil {
		return revision, err
	}
	if revision.Hash, revision.Digest, err = identify(revision.Template); err != nil {
		return revision, err
	}
	revision.Role = replicaSetRole(w, object, revision)
	return revision, nil
}

// replicaSetRole: of a release, the canary is the ReplicaSet that it made, and where a fallback rolls out
// beside it, the Deployment's own of the same template; stable is the Deployment's own of the stable one.
func replicaSetRole(w *Workload, object metav1.Object, revision Revision) Role {
	owned := metav1.GetControllerOfNoCopy(object) != nil
	release := w.Release
	switch {
	case release == nil && owned && revision.Hash == w.TemplateHash && revision.Digest == w.Digest:
		return Stable
	case release == nil:
		return Earlier
	case object.GetLabels()[canary.ReleaseLabel] == release.Name():
		return Canary
	case owned && revision.Hash == release.Stable.Hash && revision.Digest == release.Stable.Digest:
		return Stable
	case owned && !release.Holds() && revision.Hash == release.Canary.Hash && revision.Digest == release.Canary.Digest:
		return Canary
	}
	return Earlier
}

func failureOf(conditions []appsv1.ReplicaSetCondition) string {
	for _, c := range conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}
