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

	"sluice.dev/sluice/canary"
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

// Those who start pods: workloads, and what may only be there where a workload is.
var (
	workloads = []func() client.ObjectList{
		func() client.ObjectList { return &appsv1.DeploymentList{} },
		func() client.ObjectList { return &appsv1.StatefulSetList{} },
		func() client.ObjectList { return &appsv1.DaemonSetList{} },
	}
	versions = []func() client.ObjectList{
		func() client.ObjectList { return &appsv1.ReplicaSetList{} },
		func() client.ObjectList { return &appsv1.ControllerRevisionList{} },
		func() client.ObjectList {
			pods := &metav1.PartialObjectMetadataList{}
			pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
			return pods
		},
	}
)

// users lists whoever may start pods in a namespace. Where there are no snapshots and no workload pins anything, that is
// all it looks at.
func (c *Collector) users(ctx context.Context, namespace string, snapshots bool) (users, error) {
	found := users{needed: map[string]bool{}}
	for _, list := range workloads {
		if err := c.each(ctx, list, namespace, found.add); err != nil {
			return users{}, err
		}
	}
	if !snapshots && len(found.needed) == 0 {
		return found, nil
	}
	for _, list := range versions {
		if err := c.each(ctx, list, namespace, found.add); err != nil {
			return users{}, err
		}
	}
	return found, nil
}

func (c *Collector) each(ctx context.Context, page func() client.ObjectList, namespace string, visit func(runtime.Object) error) error {
	options := &client.ListOptions{Namespace: namespace, Limit: pageSize}
	for {
		list := page()
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
		u.workload(o, o.Spec.Template)
	case *appsv1.StatefulSet:
		u.workload(o, o.Spec.Template)
	case *appsv1.DaemonSet:
		u.workload(o, o.Spec.Template)
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

// workload notes what a workload needs: of its template, and of its release. (A ReplicaSet has copies of its
// annotations, which may be old.)
func (u *users) workload(object client.Object, template corev1.PodTemplateSpec) {
	for _, key := range []string{canary.ReleaseAnnotation, hashing.AnnotationConfigSeen} {
		u.need([]byte(object.GetAnnotations()[key]))
	}
	u.template(object, template, true)
}

// template notes what a pod template needs.
func (u *users) template(object client.Object, template corev1.PodTemplateSpec, starts bool) {
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
