package controller

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary"
)

// CacheOptions restrict the manager's cache to what has a release: memory grows with the releases in
// progress, not with the cluster. Nothing is decided from the cache, it only says when to look.
func CacheOptions() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&appsv1.Deployment{}: {
			Label:     labels.SelectorFromSet(labels.Set{canary.ActiveLabel: "true"}),
			Transform: onlyTrigger,
		},
		&appsv1.StatefulSet{}: {
			Label:     labels.SelectorFromSet(labels.Set{canary.ActiveLabel: "true"}),
			Transform: onlyTrigger,
		},
		&appsv1.ReplicaSet{}: {
			Label:     labels.NewSelector().Add(workloadLabelExists()),
			Transform: onlyTrigger,
		},
		&corev1.Service{}: {
			Label:     labels.NewSelector().Add(workloadLabelExists()),
			Transform: onlyTrigger,
		},
		&discoveryv1.EndpointSlice{}: { // which has the labels of its Service
			Label:     labels.NewSelector().Add(workloadLabelExists()),
			Transform: onlyTrigger,
		},
	}
}

func workloadLabelExists() labels.Requirement {
	r, err := labels.NewRequirement(canary.WorkloadLabel, selection.Exists, nil)
	if err != nil {
		panic("this is a bug: " + err.Error()) // a constant
	}
	return *r
}

// onlyTrigger drops what a trigger does not need: the state and the managed fields are most of the
// metadata.
func onlyTrigger(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
		m.SetAnnotations(nil)
	}
	return object, nil
}

// requestsOf returns the workload that a marked ReplicaSet belongs to.
func requestsOf(_ context.Context, rs client.Object) []reconcile.Request {
	workload := ownerName(rs)
	if workload == "" {
		// Its owner reference is gone, see sweep; the label is the name or stands for it.
		workload = rs.GetLabels()[canary.WorkloadLabel]
	}
	if workload == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: rs.GetNamespace(), Name: workload}}}
}

// ownerName returns the name of the Deployment that an object refers to as its owner, controller or
// not; empty where there is none.
func ownerName(object metav1.Object) string {
	for _, ref := range object.GetOwnerReferences() {
		if isDeployment(ref) {
			return ref.Name
		}
	}
	return ""
}

func isDeployment(ref metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	return err == nil && gv.Group == appsv1.GroupName && ref.Kind == canary.Deployment
}
