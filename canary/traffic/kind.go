package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/canary/traffic/split"
)

// absentFor is how long it is remembered that the cluster does not know a kind.
const absentFor = 30 * time.Second

// kinds tells which kinds of routes the cluster knows.
type kinds struct {
	client client.Client
	now    func() time.Time

	mu     sync.Mutex
	absent map[schema.GroupKind]time.Time // since when
}

// known returns the kind in the version that the API server prefers; false where its CRD is not installed.
func (k *kinds) known(kind schema.GroupKind) (schema.GroupVersionKind, bool, error) {
	k.mu.Lock()
	since, absent := k.absent[kind]
	k.mu.Unlock()
	if absent && k.now().Sub(since) < absentFor {
		return schema.GroupVersionKind{}, false, nil
	}
	found, ok, err := ask(k.client, kind)
	if !ok && err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.absent[kind] = k.now()
	}
	return found, ok, err
}

// ask returns the kind in the version that the API server prefers; false where it has none.
func ask(live client.Client, kind schema.GroupKind) (schema.GroupVersionKind, bool, error) {
	mapping, err := live.RESTMapper().RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return schema.GroupVersionKind{}, false, nil
	}
	if err != nil {
		return schema.GroupVersionKind{}, false, fmt.Errorf("looking for the kind %s: %w", kind, err)
	}
	return mapping.GroupVersionKind, true, nil
}

// list returns the objects of a kind in a namespace, none where the cluster does not know the kind.
func (r *Router) list(ctx context.Context, kind schema.GroupKind, opts ...client.ListOption) ([]*unstructured.Unstructured, error) {
	known, ok, err := r.kinds.known(kind)
	if !ok {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(known.GroupVersion().WithKind(kind.Kind + "List"))
	switch err := r.client.List(ctx, list, opts...); {
	case apierrors.IsNotFound(err): // its CRD has just gone
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing %s: %w", kind, err)
	}
	found := make([]*unstructured.Unstructured, 0, len(list.Items))
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return found, nil
}

// nameOf returns what people call a route: "httproute/web".
func nameOf(route *unstructured.Unstructured) string {
	return strings.ToLower(route.GetKind()) + "/" + route.GetName()
}

func providerOf(route *unstructured.Unstructured) split.Provider {
	provider, _ := split.For(route.GroupVersionKind().GroupKind()) // only kinds that have one are listed
	return provider
}

// EachKind calls watch with every kind of routes that the cluster knows, once, and with others within half a minute after
// they appear, until ctx ends. An error is that of watch; where the cluster does not answer it asks again.
func EachKind(ctx context.Context, live client.Client, watch func(schema.GroupVersionKind) error) error {
	again := time.NewTicker(absentFor)
	defer again.Stop()
	left := split.Kinds()
	for len(left) > 0 {
		var faults error
		left = slices.DeleteFunc(left, func(kind schema.GroupKind) bool {
			known, ok, err := ask(live, kind)
			if ok {
				faults = errors.Join(faults, watch(known))
			}
			return ok && err == nil
		})
		if faults != nil {
			return faults
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
	return nil
}
