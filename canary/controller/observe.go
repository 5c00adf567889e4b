package controller

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic"
	"sluice.dev/sluice/hashing"
)

var (
	deploymentKind  = appsv1.SchemeGroupVersion.WithKind(canary.Deployment)
	statefulSetKind = appsv1.SchemeGroupVersion.WithKind(canary.StatefulSet)
	replicaSetKind  = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
)

// snapshot is what was read for one move, and what its write is guarded by.
type snapshot struct {
	key         types.NamespacedName
	workload    *workload       // nil: it does not exist
	release     *canary.Release // nil: it has none
	replicaSets []*replicaSet
	records     []appsv1.ControllerRevision
	pods        []corev1.Pod // of a StatefulSet
	// revisionNames are the values of the label controller-revision-hash of a StatefulSet's pods.
	revisionNames map[canary.Revision]string
	traffic       *traffic.View
	observed      canary.Observed
}

func (s *snapshot) deleting() bool {
	return s.workload != nil && s.workload.object.GetDeletionTimestamp() != nil
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
// the workload alone.
func (r *reconciler) observe(ctx context.Context, key types.NamespacedName) (*snapshot, error) {
	s := &snapshot{key: key}
	object, called := newObject(r.kind), strings.ToLower(r.kind.Kind)
	if err := r.client.Get(ctx, key, object); apierrors.IsNotFound(err) {
		return s, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", called, key, err)
	}
	var err error
	if s.workload, err = decodeWorkload(object); err != nil {
		return nil, fmt.Errorf("%s %s: %w", called, key, err)
	}
	if object.GetLabels()[canary.ActiveLabel] != "true" {
		return s, nil // a state without the label is not sluice's
	}
	if s.release, err = canary.DecodeRelease(object.GetAnnotations()); err != nil {
		return nil, fmt.Errorf("%s %s: %w", called, key, err)
	}
	if s.release == nil || s.deleting() {
		return s, nil
	}
	if err = r.summary(ctx, s); err != nil {
		return nil, fmt.Errorf("%s %s: %w", called, key, err)
	}
	return s, nil
}

// summary reads what the kind's mechanics need to know.
func (r *reconciler) summary(ctx context.Context, s *snapshot) error {
	state, err := s.workload.state()
	if err != nil {
		return err
	}
	refs, err := hashing.References(s.workload.template)
	if err != nil {
		return err
	}
	s.observed = canary.Observed{
		Kind: r.kind.Kind, Workload: state, Release: s.release, UsesConfig: len(refs) > 0 || s.release.Policy.ConfigExtra != "", SettleTime: cmp.Or(time.Duration(s.release.Policy.SettleTime), r.settle),
	}
	observe := r.observeReplicaSets
	if r.kind == statefulSetKind {
		observe = r.observeSet
	}
	if err := observe(ctx, s); err != nil {
		return err
	}
	return r.observeTraffic(ctx, s)
}

func (r *reconciler) observeReplicaSets(ctx context.Context, s *snapshot) error {
	var err error
	if s.replicaSets, err = r.listReplicaSets(ctx, s.workload); err != nil {
		return err
	}
	if s.records, err = r.listRecords(ctx, s.workload); err != nil {
		return err
	}
	s.observed.StableRecorded, s.observed.Recorded = s.stableRecordOf() != nil, len(s.records) > 0
	for _, rs := range s.replicaSets {
		s.observed.ReplicaSets = append(s.observed.ReplicaSets, rs.state)
	}
	s.observed.PodTrouble, s.observed.PodsFail, err = r.podTrouble(ctx, s)
	return err
}

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
