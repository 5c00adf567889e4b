package controller

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// What stands in front of a workload wakes its controller.

// ownersOf returns the workloads of one kind that an object refers to as its owners.
func ownersOf(kind string) handler.MapFunc {
	return func(_ context.Context, object client.Object) []reconcile.Request {
		var requests []reconcile.Request
		for _, ref := range object.GetOwnerReferences() {
			if ref.Kind == kind {
				requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: ref.Name}})
			}
		}
		return requests
	}
}

// behindEndpoints returns the workloads of one kind, with a release, whose label endpoints have.
func behindEndpoints(releases client.Reader, kind schema.GroupVersionKind) handler.MapFunc {
	return func(ctx context.Context, slice client.Object) []reconcile.Request {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := releases.List(ctx, list, client.InNamespace(slice.GetNamespace())); err != nil {
			return nil // the cache has stopped
		}
		var requests []reconcile.Request
		for i := range list.Items {
			if canary.WorkloadLabelValue(list.Items[i].Name) == slice.GetLabels()[canary.WorkloadLabel] {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return requests
	}
}

// routeWatch watches the routes that releases divide, of the kinds that the cluster knows: those of all providers are
// not there in most clusters.
type routeWatch struct {
	cache cache.Cache
	woken map[string]controller.Controller // by the kind of workload
}

// newRouteWatch has a cache of its own: that of the manager has to know its kinds when it starts.
func newRouteWatch(mgr ctrl.Manager) (*routeWatch, error) {
	divided, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		DefaultLabelSelector: labels.SelectorFromSet(labels.Set{canary.ActiveLabel: "true"}),
		DefaultTransform:     onlyRecord,
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache of divided routes: %w", err)
	}
	if err := mgr.Add(divided); err != nil {
		return nil, fmt.Errorf("adding the cache of divided routes: %w", err)
	}
	return &routeWatch{cache: divided, woken: map[string]controller.Controller{}}, nil
}

// onlyRecord drops what does not tell whose release divides a route.
func onlyRecord(object any) (any, error) {
	m, ok := object.(metav1.Object)
	if !ok {
		return object, nil
	}
	record, divided := m.GetAnnotations()[split.RecordAnnotation]
	if _, err := onlyTrigger(object); err != nil || !divided {
		return object, err
	}
	m.SetAnnotations(map[string]string{split.RecordAnnotation: record})
	return object, nil
}

// wakes names the controller of a kind of workloads.
func (w *routeWatch) wakes(kind string, c controller.Controller) { w.woken[kind] = c }

// watch wakes the controllers by divided routes of a kind from now on.
func (w *routeWatch) watch(kind schema.GroupVersionKind) error {
	for workload, c := range w.woken {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		err := c.Watch(source.Kind(w.cache, object, handler.TypedEnqueueRequestsFromMapFunc(dividing(workload))))
		if err != nil {
			return fmt.Errorf("watching %s: %w", kind, err)
		}
	}
	return nil
}

// dividing returns the workloads of one kind whose releases divide a route.
func dividing(kind string) handler.TypedMapFunc[*metav1.PartialObjectMetadata, reconcile.Request] {
	return func(_ context.Context, object *metav1.PartialObjectMetadata) []reconcile.Request {
		route := &unstructured.Unstructured{}
		route.SetAnnotations(object.GetAnnotations())
		var requests []reconcile.Request
		for _, share := range split.Recorded(route) {
			of, name, _ := strings.Cut(share.Workload, "/")
			if of == kind {
				requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}})
			}
		}
		return requests
	}
}
