package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// deploymentsPerPage bounds the memory of the one list of Deployments.
const deploymentsPerPage = 200

// canaryReplicaSet returns the ReplicaSet with the Deployment's template and selector. Its labels are
// sluice's marks alone, so that the Deployment does not adopt it; its template has nothing but the hash
// more than the Deployment's, so that the Deployment can.
func canaryReplicaSet(w *workload, release *canary.Release, spec canary.CanarySpec) (*unstructured.Unstructured, error) {
	marks := canary.MarkLabels(w.typed.Name, release, spec.Marks)
	rs := newReplicaSet(w, nameWithHash(w.typed.Name, spec.Hash), marks, w.reference())
	template, _, err := unstructured.NestedMap(w.object.Object, "spec", "template")
	if err != nil {
		return nil, fmt.Errorf("copying the template of deployment %s: %w", w.typed.Name, err)
	}
	return rs, setSpec(rs, w, podSpec{template: template, hash: spec.Hash, replicas: spec.Replicas, minReadySeconds: spec.MinReadySeconds})
}

func newReplicaSet(w *workload, name string, labels map[string]string, owner metav1.OwnerReference) *unstructured.Unstructured {
	rs := newObject(replicaSetKind)
	rs.SetNamespace(w.typed.Namespace)
	rs.SetName(name)
	rs.SetLabels(labels)
	rs.SetOwnerReferences([]metav1.OwnerReference{owner})
	return rs
}

// podSpec is what a ReplicaSet makes pods of.
type podSpec struct {
	template        map[string]any // changed by setSpec
	hash            string
	replicas        int32
	minReadySeconds int32
}

// setSpec sets the spec of a ReplicaSet: the Deployment's selector narrowed by the hash.
func setSpec(rs *unstructured.Unstructured, w *workload, spec podSpec) error {
	selector, _, err := unstructured.NestedMap(w.object.Object, "spec", "selector")
	if err != nil {
		return fmt.Errorf("copying the selector of deployment %s: %w", w.typed.Name, err)
	}
	if err := unstructured.SetNestedField(selector, spec.hash, "matchLabels", hashLabel); err != nil {
		return fmt.Errorf("narrowing the selector of deployment %s: %w", w.typed.Name, err)
	}
	if err := unstructured.SetNestedField(spec.template, spec.hash, "metadata", "labels", hashLabel); err != nil {
		return fmt.Errorf("labelling the template of deployment %s: %w", w.typed.Name, err)
	}
	rs.Object["spec"] = map[string]any{
		"replicas":        int64(spec.replicas),
		"minReadySeconds": int64(spec.minReadySeconds),
		"selector":        selector,
		"template":        spec.template,
	}
	return nil
}

func (r *reconciler) createCanary(ctx context.Context, s *snapshot, spec canary.CanarySpec) error {
	rs, err := canaryReplicaSet(s.workload, s.release, spec)
	if err != nil {
		return err
	}
	if err := r.checkNobodyAdopts(ctx, rs); err != nil {
		return err
	}
	err = r.client.Create(ctx, rs, fieldManager)
	if apierrors.IsAlreadyExists(err) {
		return r.claim(ctx, s, rs)
	}
	if err != nil {
		return fmt.Errorf("creating canary replica set %s/%s: %w", s.key.Namespace, rs.GetName(), err)
	}
	return nil
}

// checkNobodyAdopts: a selector of NotIn and DoesNotExist alone matches sluice's marks, and its
// Deployment would take the ReplicaSet at once and resize it.
func (r *reconciler) checkNobodyAdopts(ctx context.Context, rs *unstructured.Unstructured) error {
	list := &unstructured.UnstructuredList{}
	for {
		list.SetGroupVersionKind(deploymentKind.GroupVersion().WithKind("DeploymentList"))
		err := r.client.List(ctx, list, client.InNamespace(rs.GetNamespace()),
			client.Limit(deploymentsPerPage), client.Continue(list.GetContinue()))
		if err != nil {
			return fmt.Errorf("listing deployments of namespace %s: %w", rs.GetNamespace(), err)
		}
		for i := range list.Items {
			selector, err := selectorOf(&list.Items[i])
			if err != nil {
				return fmt.Errorf("deployment %s/%s: %w", rs.GetNamespace(), list.Items[i].GetName(), err)
			}
			if selector.Matches(labels.Set(rs.GetLabels())) {
				return &blocked{fmt.Sprintf("no canary of this Deployment can be made: the selector of deployment %s (%s) "+
					"also matches sluice's own labels and would take it over; give that selector a label of its own",
					list.Items[i].GetName(), selector)}
			}
		}
		if list.GetContinue() == "" {
			return nil
		}
	}
}

// claim looks at the ReplicaSet that has the canary's name already. One that refers to the Deployment
// and has the canary's hash is the canary: it lost its marks, or an earlier create was applied although
// it seemed to fail.
func (r *reconciler) claim(ctx context.Context, s *snapshot, want *unstructured.Unstructured) error {
	found := newObject(replicaSetKind)
	if err := r.client.Get(ctx, client.ObjectKeyFromObject(want), found); err != nil {
		return fmt.Errorf("reading replica set %s/%s: %w", s.key.Namespace, want.GetName(), err)
	}
	ours := refersTo(found, s.workload.typed.UID) && templateLabels(found)[hashLabel] == templateLabels(want)[hashLabel]
	switch {
	case found.GetDeletionTimestamp() != nil:
		return apierrors.NewConflict(replicaSetResource, want.GetName(), fmt.Errorf("it is being deleted"))
	case releaseID(found, s.key.Name) == s.release.ID && ours:
		return nil
	case !ours:
		return &blocked{fmt.Sprintf("no canary can be made: replica set %s exists and is not sluice's; delete or rename it", want.GetName())}
	}
	all := found.GetLabels()
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range want.GetLabels() {
		all[key] = value
	}
	found.SetLabels(all)
	if err := r.client.Update(ctx, found, fieldManager); err != nil {
		return fmt.Errorf("marking replica set %s/%s again: %w", s.key.Namespace, want.GetName(), err)
	}
	return nil
}
