package controller

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic"
)

// servingAgain is when to look again at a canary that serves in place of stable pods, or whose pods are to go before routes
// are given back.
const servingAgain = time.Second

// tidy leaves nothing of a release at a workload that has none. It returns when to go on, 0: it is done.
func (r *reconciler) tidy(ctx context.Context, s *snapshot) (again time.Duration, err error) {
	r.lost(s)
	left, err := r.sweepTraffic(ctx, s)
	if err != nil {
		return 0, err
	}
	switch left {
	case traffic.Requests:
		return lookAgain, nil // no pods go before
	case traffic.Routes:
		again = servingAgain
	case traffic.Nothing:
	}
	if r.kind == deploymentKind { // sluice makes no pods for a StatefulSet
		canary, err := r.sweep(ctx, s)
		if err != nil {
			return 0, err
		}
		again = max(again, canary)
	}
	return again, r.untell(ctx, s)
}

// sweep clears away what is left of releases of a workload that has none now or does not exist: a
// canary is deleted, a ReplicaSet that was handed to the Deployment keeps running without marks.
func (r *reconciler) sweep(ctx context.Context, s *snapshot) (again time.Duration, err error) {
	if s.deleting() {
		return 0, nil
	}
	if s.workload == nil {
		if hidden, err := r.standsForAnother(ctx, s); err != nil || hidden {
			return 0, err
		}
	}
	marked := labels.SelectorFromSet(labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(s.key.Name)})
	items, err := r.listBySelector(ctx, s.key.Namespace, marked)
	if err != nil {
		return 0, err
	}
	for i := range items {
		if s.isNeeded(&items[i]) {
			again = servingAgain
			continue
		}
		if err := r.sweepReplicaSet(ctx, s, &items[i]); err != nil {
			return 0, err
		}
	}
	return again, r.sweepRecords(ctx, s, marked)
}

// isNeeded: the pods of a canary stand in for the Deployment's own, of which fewer are available than its
// strategy allows.
func (s *snapshot) isNeeded(rs *unstructured.Unstructured) bool {
	available, _, _ := unstructured.NestedInt64(rs.Object, "status", "availableReplicas")
	if s.workload == nil || available == 0 || handedOver(rs) || s.refersElsewhere(rs) {
		return false
	}
	d := &s.workload.typed
	n := orOne(d.Spec.Replicas)
	_, unavailable, err := resolveRolling(d.Spec.Strategy, n)
	seen := d.Status.ObservedGeneration >= d.Generation
	return err == nil && n > 0 && !(seen && d.Status.AvailableReplicas >= n-unavailable)
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
