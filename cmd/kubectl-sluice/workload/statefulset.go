package workload

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

var controllerRevisionResource = appsv1.SchemeGroupVersion.WithResource("controllerrevisions")

// statefulSetRolledOut: every pod that the user's own partition does not keep back runs the template.
func statefulSetRolledOut(w *Workload) bool {
	s := w.Status
	updated := s.CurrentRevision == s.UpdateRevision
	if w.partition > 0 {
		updated = s.UpdatedReplicas >= w.Replicas-w.partition
	}
	return updated && s.ObservedGeneration >= w.Generation && s.Replicas == w.Replicas && s.AvailableReplicas == w.Replicas
}

// controllerRevisions returns the versions that the StatefulSet controller keeps.
func controllerRevisions(ctx context.Context, r *Reader, w *Workload) ([]Revision, error) {
	items, err := r.list(ctx, controllerRevisionResource, w.Namespace, w.selector)
	if err != nil {
		return nil, fmt.Errorf("listing the controller revisions of %s: %w", w.Ref, err)
	}
	var found []Revision
	for i := range items {
		if !belongsTo(&items[i], w.UID) {
			continue
		}
		revision, err := controllerRevision(&items[i])
		if err != nil {
			return nil, fmt.Errorf("controller revision %s: %w", items[i].GetName(), err)
		}
		revision.Role, revision.Wanted = w.statefulSetRole(revision)
		found = append(found, revision)
	}
	return found, nil
}

func controllerRevision(object *unstructured.Unstructured) (Revision, error) {
	number, _, _ := unstructured.NestedInt64(object.Object, "revision")
	revision := Revision{
		Name:        object.GetName(),
		Number:      number,
		PodLabel:    object.GetName(),
		Created:     object.GetCreationTimestamp().Time,
		ChangeCause: object.GetAnnotations()[changeCauseAnnotation],
	}
	template, _, err := unstructured.NestedMap(object.Object, "data", "spec", "template")
	if err != nil {
		return revision, fmt.Errorf("reading its pod template: %w", err)
	}
	delete(template, "$patch") // the data is a strategic merge patch that replaces the template
	if revision.Template, err = json.Marshal(template); err != nil {
		return revision, fmt.Errorf("encoding its pod template: %w", err)
	}
	revision.Hash, revision.Digest, err = identify(revision.Template)
	return revision, err
}

// statefulSetRole returns what a revision is and how many pods are to have it. While a release is held
// its partition says nothing: pods of the canary run behind a closed one.
func (w *Workload) statefulSetRole(revision Revision) (role Role, wanted int32) {
	current, update := w.Status.CurrentRevision, w.Status.UpdateRevision
	switch {
	case w.Release == nil && revision.Name == update:
		return Stable, max(w.Replicas-w.partition, 0)
	case w.Release == nil && revision.Name == current:
		return Earlier, min(w.Replicas, w.partition)
	case revision.Name == update && current != update:
		return Canary, w.canaryPods()
	case revision.Name == current:
		return Stable, w.Replicas - w.canaryPods()
	case w.Release != nil && revision.Hash == w.Release.Canary.Hash && revision.Digest == w.Release.Canary.Digest:
		return Canary, 0 // the stable template is back in the spec
	}
	return Earlier, 0
}

// canaryPods returns how many pods of a StatefulSet are to run the released version now.
func (w *Workload) canaryPods() int32 {
	switch w.Release.Phase {
	case canary.Promoting:
		return max(w.Replicas-w.Release.Held.Partition, 0)
	case canary.Progressing, canary.Waiting:
		steps, err := canary.ParseSteps(w.Release.Policy.Steps)
		if err == nil && w.Release.Step >= 1 && w.Release.Step <= len(steps) {
			return w.StepSize(steps[w.Release.Step-1])
		}
	case canary.Aborted, canary.Reverting:
	}
	return 0
}

// countAvailable counts the ready pods of each revision.
func (s *Snapshot) countAvailable() {
	for i := range s.Revisions {
		revision := &s.Revisions[i]
		for j := range s.Pods {
			if s.Pods[j].Labels[s.Kind.PodLabel] == revision.PodLabel && isReady(&s.Pods[j]) {
				revision.Available++
			}
		}
	}
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}
