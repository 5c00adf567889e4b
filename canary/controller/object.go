package controller

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxName is the length of a DNS subdomain name.
const maxName = 253

func newObject(kind schema.GroupVersionKind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object
}

// reference makes the workload the owner, for garbage collection, but not the controller. Blocking
// the owner's deletion would need the permission to set its finalizers.
func (w *workload) reference() metav1.OwnerReference {
	no := false
	return metav1.OwnerReference{
		APIVersion:         deploymentKind.GroupVersion().String(),
		Kind:               w.object.GetKind(),
		Name:               w.typed.Name,
		UID:                w.typed.UID,
		BlockOwnerDeletion: &no,
	}
}

// controllerReference makes the Deployment the controller.
func (w *workload) controllerReference() metav1.OwnerReference {
	yes, ref := true, w.reference()
	ref.Controller = &yes
	return ref
}

// nameWithHash returns the workload's name, as much of it as fits, and the hash.
func nameWithHash(workload, hash string) string {
	return workload[:min(len(workload), maxName-1-len(hash))] + "-" + hash
}

// templateLabels returns the labels in the pod template of an object, never nil.
func templateLabels(object *unstructured.Unstructured) map[string]string {
	found, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
	if found == nil {
		return map[string]string{}
	}
	return found
}

// templateHashLabel is the pod-template-hash of a ReplicaSet's pods.
func templateHashLabel(rs *replicaSet) string {
	return templateLabels(rs.object)[hashLabel]
}
