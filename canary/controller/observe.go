package controller

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

var (
	deploymentKind = appsv1.SchemeGroupVersion.WithKind(canary.Deployment)
	replicaSetKind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
)

// snapshot is what was read for one move, and what its write is guarded by.
type snapshot struct {
	key         types.NamespacedName
	deployment  *workload       // nil: it does not exist
	release     *canary.Release // nil: it has none
	replicaSets []*replicaSet
	records     []appsv1.ControllerRevision
	observed    canary.Observed
}

func (s *snapshot) deleting() bool {
	return s.deployment != nil && s.deployment.typed.DeletionTimestamp != nil
}

// replicaSet returns the ReplicaSet that was observed with this UID.
func (s *snapshot) replicaSet(uid string) (*replicaSet, error) {
	for _, rs := range s.replicaSets {
		if rs.state.UID == uid {
			return rs, nil
		}
	}
	return nil, fmt.Errorf("this is a bug: a write for a replica set with UID %q, which was not observed", uid)
}

// observe reads, live, what the next move of a workload depends on. Where there is no release it reads
// the Deployment alone.
func (r *reconciler) observe(ctx context.Context, key types.NamespacedName) (*snapshot, error) {
	s := &snapshot{key: key}
	object := newObject(deploymentKind)
	if err := r.client.Get(ctx, key, object); apierrors.IsNotFound(err) {
		return s, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading deployment %s: %w", key, err)
	}
	var err error
	if s.deployment, err = decodeWorkload(object); err != nil {
		return nil, fmt.Errorf("deployment %s: %w", key, err)
	}
	if object.GetLabels()[canary.ActiveLabel] != "true" {
		return s, nil // a state without the label is not sluice's
	}
	if s.release, err = canary.DecodeRelease(object.GetAnnotations()); err != nil {
		return nil, fmt.Errorf("deployment %s: %w", key, err)
	}
	if s.release == nil || s.deleting() {
		return s, nil
	}
	if s.replicaSets, err = r.listReplicaSets(ctx, s.deployment); err != nil {
		return nil, err
	}
	if s.records, err = r.listRecords(ctx, s.deployment); err != nil {
		return nil, err
	}
	s.observed, err = r.summary(ctx, s)
	return s, err
}

// summary puts together what canary.Next is asked with.
func (r *reconciler) summary(ctx context.Context, s *snapshot) (canary.Observed, error) {
	state, err := s.deployment.state()
	if err != nil {
		return canary.Observed{}, fmt.Errorf("deployment %s: %w", s.key, err)
	}
	refs, err := hashing.References(s.deployment.template)
	if err != nil {
		return canary.Observed{}, fmt.Errorf("deployment %s: %w", s.key, err)
	}
	observed := canary.Observed{
		Deployment:     state,
		Release:        s.release,
		StableRecorded: s.stableRecordOf() != nil,
		Recorded:       len(s.records) > 0,
		UsesConfig:     len(refs) > 0,
		SettleTime:     r.settle,
	}
	for _, rs := range s.replicaSets {
		observed.ReplicaSets = append(observed.ReplicaSets, rs.state)
	}
	observed.PodTrouble, err = r.podTrouble(ctx, s)
	return observed, err
}

// listReplicaSets returns those that match the Deployment's selector and those that its releases made,
// each once. A ReplicaSet that its Deployment has not adopted yet is among them.
func (r *reconciler) listReplicaSets(ctx context.Context, w *workload) ([]*replicaSet, error) {
	marked := labels.SelectorFromSet(labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(w.typed.Name)})
	seen := map[types.UID]bool{}
	var found []*replicaSet
	for _, selector := range []labels.Selector{w.selector, marked} {
		items, err := r.listBySelector(ctx, w.typed.Namespace, selector)
		if err != nil {
			return nil, err
		}
		for i := range items {
			if seen[items[i].GetUID()] {
				continue
			}
			seen[items[i].GetUID()] = true
			rs, err := decodeReplicaSet(&items[i], w)
			if err != nil {
				return nil, fmt.Errorf("namespace %s: %w", w.typed.Namespace, err)
			}
			if rs != nil {
				found = append(found, rs)
			}
		}
	}
	return found, nil
}

func (r *reconciler) listBySelector(ctx context.Context, namespace string, selector labels.Selector) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(replicaSetKind.GroupVersion().WithKind("ReplicaSetList"))
	err := r.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing replica sets of namespace %s by %s: %w", namespace, selector, err)
	}
	return list.Items, nil
}
