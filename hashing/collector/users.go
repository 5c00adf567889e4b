package collector

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

// pageSize bounds how many workloads are in memory at once.
const pageSize = 100

// users are who may start pods in a namespace.
type users struct {
	needed map[string]bool // snapshots, as "configmap/web-0123456789abcdef"
	// starting are those that start pods by themselves, with a template whose config is pinned.
	starting []starting
}

// starting is something that starts pods.
type starting struct {
	object   client.Object
	template corev1.PodTemplateSpec
	digest   string
}

// users lists whoever may start pods in a namespace.
func (c *Collector) users(ctx context.Context, namespace string) (users, error) {
	found := users{needed: map[string]bool{}}
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{},
		&appsv1.ReplicaSetList{}, &appsv1.ControllerRevisionList{}, pods,
	} {
		if err := c.each(ctx, list, namespace, found.add); err != nil {
			return users{}, err
		}
	}
	return found, nil
}

func (c *Collector) each(ctx context.Context, list client.ObjectList, namespace string, visit func(runtime.Object) error) error {
	options := &client.ListOptions{Namespace: namespace, Limit: pageSize}
	for {
		if err := c.client.List(ctx, list, options); err != nil {
			return fmt.Errorf("listing who uses snapshots (%T): %w", list, err)
		}
		if err := meta.EachListItem(list, visit); err != nil {
			return err
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// add notes what an object needs.
func (u *users) add(object runtime.Object) error {
	switch o := object.(type) {
	case *appsv1.Deployment:
		u.template(o, o.Spec.Template, true)
	case *appsv1.StatefulSet:
		u.template(o, o.Spec.Template, true)
	case *appsv1.DaemonSet:
		u.template(o, o.Spec.Template, true)
	case *appsv1.ReplicaSet:
		u.template(o, o.Spec.Template, ptr.Deref(o.Spec.Replicas, 1) > 0)
	case *appsv1.ControllerRevision:
		u.need(o.Data.Raw)
	case *metav1.PartialObjectMetadata:
		u.need([]byte(o.Annotations[hashing.AnnotationConfigHash]))
	default:
		return fmt.Errorf("this is a bug: a %T uses no snapshots", object)
	}
	return nil
}

// template notes what a pod template needs, and the state of a release in annotations of the workload.
func (u *users) template(object client.Object, template corev1.PodTemplateSpec, starts bool) {
	for _, value := range object.GetAnnotations() {
		u.need([]byte(value))
	}
	digest := template.Annotations[hashing.AnnotationConfigHash]
	u.need([]byte(digest))
	if starts && len(hashing.Pinned(digest)) > 0 && object.GetDeletionTimestamp() == nil {
		u.starting = append(u.starting, starting{object, template, digest})
	}
}

func (u *users) need(text []byte) {
	for _, digest := range hashing.PinnedDigests(text) {
		for _, name := range hashing.SnapshotsOf(digest) {
			u.needed[name] = true
		}
	}
}
