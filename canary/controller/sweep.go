package controller

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
)

// sweep clears away what is left of releases of a workload that has none now or does not exist: a
// canary is deleted, a ReplicaSet that was handed to the Deployment keeps running without marks.
func (r *reconciler) sweep(ctx context.Context, s *snapshot) error {
	if s.deleting() {
		return nil
	}
	if s.workload == nil {
		if hidden, err := r.standsForAnother(ctx, s); err != nil || hidden {
			return err
		}
	}
	marked := labels.SelectorFromSet(labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(s.key.Name)})
	items, err := r.listBySelector(ctx, s.key.Namespace, marked)
	if err != nil {
		return err
	}
	for i := range items {
		if err := r.sweepReplicaSet(ctx, s, &items[i]); err != nil {
			return err
		}
	}
	return r.sweepRecords(ctx, s, marked)
}

// standsForAnother: the label of a long name is a shortened one, and a ReplicaSet without owner
// references leads to that alone. Its Deployment may be alive and in the middle of a release.
func (r *reconciler) standsForAnother(ctx context.Context, s *snapshot) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(deploymentKind.GroupVersion().WithKind("DeploymentList"))
	err := r.client.List(ctx, list, client.InNamespace(s.key.Namespace), client.MatchingLabels{canary.ActiveLabel: "true"})
	if err != nil {
		return false, fmt.Errorf("listing deployments of namespace %s that have a release: %w", s.key.Namespace, err)
	}
	for i := range list.Items {
		if canary.WorkloadLabelValue(list.Items[i].Name) == s.key.Name {
			return true, nil
		}
	}
	return false, nil
}

func (r *reconciler) sweepReplicaSet(ctx context.Context, s *snapshot, rs *unstructured.Unstructured) error {
	if s.refersElsewhere(rs) || rs.GetDeletionTimestamp() != nil {
		return nil
	}
	if s.workload != nil && releaseID(rs, s.key.Name) > s.workload.object.GetGeneration() {
		return nil // of a release that began after the workload was read
	}
	log := logf.FromContext(ctx).WithValues("replicaSet", rs.GetName())
	if !handedOver(rs) {
		if err := r.deleteExactly(ctx, rs, "replica set"); err != nil {
			return err
		}
		log.Info("deleted a canary replica set that no release needs")
		return nil
	}
	if err := unmark(rs, nil); err != nil {
		return err
	}
	if err := r.client.Update(ctx, rs, fieldManager); err != nil {
		return fmt.Errorf("unmarking replica set %s/%s: %w", s.key.Namespace, rs.GetName(), err)
	}
	log.Info("unmarked a replica set that no release needs")
	return nil
}

// refersElsewhere: the object's owner is a Deployment of another name, which is looked at on its own.
func (s *snapshot) refersElsewhere(object metav1.Object) bool {
	owner := ownerName(object)
	return owner != "" && owner != s.key.Name
}

// handedOver: a controller owns the ReplicaSet, or it has a Deployment's labels to be owned soon, or
// was before its Deployment was deleted without its ReplicaSets.
func handedOver(rs *unstructured.Unstructured) bool {
	rest := labelsOf(rs)
	for _, key := range sluiceLabels {
		delete(rest, key)
	}
	return metav1.GetControllerOfNoCopy(rs) != nil || len(rest) > 0
}

// sweepRecords deletes ControllerRevisions with stable templates.
func (r *reconciler) sweepRecords(ctx context.Context, s *snapshot, marked labels.Selector) error {
	list := &appsv1.ControllerRevisionList{}
	err := r.client.List(ctx, list, client.InNamespace(s.key.Namespace), client.MatchingLabelsSelector{Selector: marked})
	if err != nil {
		return fmt.Errorf("listing controller revisions of namespace %s: %w", s.key.Namespace, err)
	}
	for i := range list.Items {
		record := &list.Items[i]
		if s.refersElsewhere(record) || record.DeletionTimestamp != nil {
			continue
		}
		if err := r.deleteExactly(ctx, record, "controller revision"); err != nil {
			return err
		}
		logf.FromContext(ctx).Info("deleted the record of a stable template that no release needs",
			"controllerRevision", record.Name)
	}
	return nil
}
