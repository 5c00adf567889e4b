package controller

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// The deployment controller compares these with its own idea of the size, and resizes the ReplicaSets
// of a paused Deployment where they differ.
const (
	desiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas"
	maxReplicasAnnotation     = "deployment.kubernetes.io/max-replicas"
)

var replicaSetResource = replicaSetKind.GroupVersion().WithResource("replicasets").GroupResource()

// edit changes a copy of a ReplicaSet that was read.
type edit func(rs *unstructured.Unstructured, w *workload) error

// updateReplicaSet puts a changed ReplicaSet back under the resourceVersion that was read. Its status
// shares that version, so what the move assumes about its pods is checked in the same request.
func (r *reconciler) updateReplicaSet(ctx context.Context, s *snapshot, uid string, change edit) error {
	rs, err := s.replicaSet(uid)
	if err != nil {
		return err
	}
	changed := rs.object.DeepCopy()
	if err := change(changed, s.workload); err != nil {
		return fmt.Errorf("changing replica set %s/%s: %w", s.key.Namespace, rs.state.Name, err)
	}
	if err := r.client.Update(ctx, changed, fieldManager); err != nil {
		return fmt.Errorf("updating replica set %s/%s: %w", s.key.Namespace, rs.state.Name, err)
	}
	return nil
}

func (r *reconciler) deleteReplicaSet(ctx context.Context, s *snapshot, uid string) error {
	rs, err := s.replicaSet(uid)
	if err != nil {
		return err
	}
	return r.deleteExactly(ctx, rs.object, "replica set")
}

// deleteExactly deletes this object as it was read, and no other of its name; its pods follow.
func (r *reconciler) deleteExactly(ctx context.Context, object client.Object, what string) error {
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := r.client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil {
		return fmt.Errorf("deleting %s %s/%s: %w", what, object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

func resize(update canary.ReplicaSetUpdate) edit {
	return func(rs *unstructured.Unstructured, _ *workload) error {
		if update.Marks != (canary.Marks{}) {
			all := labelsOf(rs)
			setMarks(all, update.Marks)
			rs.SetLabels(all)
		}
		spec, _, err := unstructured.NestedMap(rs.Object, "spec")
		if err != nil {
			return err
		}
		spec["replicas"], spec["minReadySeconds"] = int64(update.Replicas), int64(update.MinReadySeconds)
		rs.Object["spec"] = spec
		return nil
	}
}

// adopt gives the ReplicaSet the labels by which its Deployment recognises it, and the size that keeps
// the Deployment from resizing.
func adopt(adoption canary.Adoption) edit {
	return func(rs *unstructured.Unstructured, w *workload) error {
		all := labelsOf(rs)
		maps.Copy(all, templateLabels(w.object))
		maps.Copy(all, w.typed.Spec.Selector.MatchLabels)
		all[hashLabel] = templateLabels(rs)[hashLabel]
		setMarks(all, adoption.Marks)
		rs.SetLabels(all)
		annotations := annotationsOf(rs)
		annotations[desiredReplicasAnnotation] = strconv.Itoa(int(adoption.DesiredReplicas))
		annotations[maxReplicasAnnotation] = strconv.Itoa(int(adoption.MaxReplicas))
		rs.SetAnnotations(annotations)
		return nil
	}
}

// disown undoes adopt: no label but sluice's marks is left, nor an annotation by which a later look
// could take the ReplicaSet for one that is adopted.
func disown(rs *unstructured.Unstructured, _ *workload) error {
	marks, all := map[string]string{}, labelsOf(rs)
	for _, key := range sluiceLabels {
		if value, ok := all[key]; ok {
			marks[key] = value
		}
	}
	rs.SetLabels(marks)
	annotations := annotationsOf(rs)
	for _, key := range []string{desiredReplicasAnnotation, maxReplicasAnnotation, revisionAnnotation} {
		delete(annotations, key)
	}
	rs.SetAnnotations(annotations)
	return nil
}

// refer adds the owner reference that a Deployment removes from what it releases.
func refer(rs *unstructured.Unstructured, w *workload) error {
	if refersTo(rs, w.typed.UID) {
		return nil
	}
	rs.SetOwnerReferences(append(rs.GetOwnerReferences(), w.reference()))
	return nil
}

// unmark makes the ReplicaSet one like any other of its Deployment.
func unmark(rs *unstructured.Unstructured, _ *workload) error {
	all := labelsOf(rs)
	for _, key := range sluiceLabels {
		delete(all, key)
	}
	rs.SetLabels(all)
	return nil
}

func labelsOf(object metav1.Object) map[string]string {
	if all := object.GetLabels(); all != nil {
		return all
	}
	return map[string]string{}
}

func annotationsOf(object metav1.Object) map[string]string {
	if all := object.GetAnnotations(); all != nil {
		return all
	}
	return map[string]string{}
}
