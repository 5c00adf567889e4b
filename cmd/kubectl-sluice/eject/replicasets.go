package eject

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// runsStable: pods that are made anew behind a closed partition are not of the new version.
func runsStable(s *workload.Snapshot) bool {
	for _, revision := range s.Revisions {
		if revision.Name == s.Status.CurrentRevision {
			return revision.Hash != s.Release.Canary.Hash || revision.Digest != s.Release.Canary.Digest
		}
	}
	return false
}

// wholeStable: the stable ReplicaSet has all pods, and the Deployment has no canary.
func wholeStable(s *Subject, snapshot *workload.Snapshot, sets []appsv1.ReplicaSet) bool {
	stable := ""
	for _, revision := range snapshot.Revisions {
		if revision.Role == workload.Stable && revision.Wanted >= s.Replicas {
			stable = revision.Name
		}
	}
	for i := range sets {
		rs := &sets[i]
		handed := metav1.GetControllerOfNoCopy(rs) != nil || s.Selector().Matches(labels.Set(rs.Labels))
		if handed && rs.Labels[canary.WorkloadLabel] != "" && rs.Name != stable {
			return false
		}
	}
	return stable != ""
}

// replicaSetsOf returns the marked ReplicaSets of a Deployment, and its own ones.
func (e *Ejector) replicaSetsOf(ctx context.Context, w *workload.Workload) (marked, own []appsv1.ReplicaSet, err error) {
	marked, err = e.listReplicaSets(ctx, w.Namespace, labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)}.AsSelector())
	if err != nil {
		return nil, nil, err
	}
	all, err := e.listReplicaSets(ctx, w.Namespace, w.Selector())
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if controller := metav1.GetControllerOfNoCopy(&all[i]); controller != nil && controller.UID == w.UID {
			own = append(own, all[i])
		}
	}
	return marked, own, nil
}

func (e *Ejector) listReplicaSets(ctx context.Context, namespace string, selector labels.Selector) ([]appsv1.ReplicaSet, error) {
	items, err := e.list(ctx, replicaSets, namespace, selector)
	if err != nil {
		return nil, err
	}
	return decodeAll[appsv1.ReplicaSet](items)
}

// ownerOf returns the Deployment of this name; the zero value where it is gone.
func (e *Ejector) ownerOf(ctx context.Context, namespace, name string) (owner, error) {
	object, err := e.get(ctx, workload.Ref{Kind: workload.Deployment, Namespace: namespace, Name: name})
	if apierrors.IsNotFound(err) {
		return owner{}, nil
	}
	if err != nil {
		return owner{}, err
	}
	s, err := subject(workload.Deployment, object)
	if err != nil {
		return owner{}, err
	}
	_, own, err := e.replicaSetsOf(ctx, s.Workload)
	if err != nil {
		return owner{}, err
	}
	o := owner{uid: s.UID, selector: s.Selector(), active: !isEnded(object) || object.GetDeletionTimestamp() != nil}
	for i := range own {
		o.available += own[i].Status.AvailableReplicas
	}
	o.floor, err = floor(object, s.Replicas)
	return o, err
}

// floor is how many of n pods have to be available: the deployment controller rounds maxUnavailable down.
func floor(object *unstructured.Unstructured, n int32) (int32, error) {
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "strategy", "rollingUpdate", "maxUnavailable")
	if err != nil || !found {
		return n, err
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encoding maxUnavailable: %w", err)
	}
	var number intstr.IntOrString
	if err := json.Unmarshal(raw, &number); err != nil {
		return 0, fmt.Errorf("decoding maxUnavailable: %w", err)
	}
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(&number, int(n), false)
	if err != nil {
		return 0, fmt.Errorf("reading maxUnavailable: %w", err)
	}
	return max(n-int32(unavailable), 0), nil //nolint:gosec // a number of pods
}
