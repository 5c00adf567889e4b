// Package follow tells of changes in the cluster as they happen.
//
// The rule: watches, not polling. Object sees every version of one object, in order, so that no state is
// missed however short it is; Changes only says that something changed, for those who read again. Both
// outlive connections that break and an API server that restarts. Who may read an object and not watch
// it sees it once a second.
package follow

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// again is when to try again what failed, and patience how often: an API server that starts refuses what
// it will permit once it knows its roles.
const (
	again    = time.Second
	patience = 30
)

// Object calls see with a workload's object as it is now and with every version after it, until see says
// that it has seen enough, or fails. Once the object was read, failures of the API server are waited out.
func Object(ctx context.Context, clock clock.Clock, client dynamic.Interface, ref workload.Ref, see func(*unstructured.Unstructured) (enough bool, err error)) error {
	objects := client.Resource(ref.Kind.Resource).Namespace(ref.Namespace)
	for left := 0; ; left-- {
		var done bool
		var failure error
		look := func(object *unstructured.Unstructured) bool {
			left = patience
			enough, err := see(object)
			done, failure = enough || err != nil, err
			return done
		}
		object, err := objects.Get(ctx, ref.Name, metav1.GetOptions{})
		if err == nil && !look(object) {
			err = versions(ctx, Workload(client, ref), object.GetResourceVersion(), func(event watch.Event) bool {
				version, ok := event.Object.(*unstructured.Unstructured)
				if !ok || event.Type == watch.Deleted {
					done, failure = true, fmt.Errorf("%s was deleted", ref)
					return true
				}
				return look(version)
			})
		}
		switch {
		case done:
			return failure
		case err == nil: // the API server has forgotten the version
		case apierrors.IsNotFound(err), left <= 0, !pause(ctx, clock):
			return workload.Explain(ref, err)
		}
	}
}

// pause returns false where the context ends first.
func pause(ctx context.Context, clock clock.Clock) bool {
	select {
	case <-clock.After(again):
		return true
	case <-ctx.Done():
		return false
	}
}

// Source is what Changes watches: objects of one kind.
type Source struct {
	Resource dynamic.ResourceInterface
	// Labels and Fields select them, as the API does.
	Labels, Fields string
}

// Workload is the source of one workload.
func Workload(client dynamic.Interface, ref workload.Ref) Source {
	return Source{Resource: client.Resource(ref.Kind.Resource).Namespace(ref.Namespace), Fields: nameIs(ref.Name)}
}

func nameIs(name string) string { return "metadata.name=" + name }

// Changes sends when something may have changed since the last time, from now until the context ends.
// A source that the user may not read is left out.
func Changes(ctx context.Context, clock clock.Clock, sources ...Source) <-chan struct{} {
	changed := make(chan struct{}, 1)
	for _, source := range sources {
		go source.tell(ctx, clock, func() {
			select {
			case changed <- struct{}{}:
			default: // it is said already
			}
		})
	}
	return changed
}

// tell calls changed once it watches, and with each change.
func (s Source) tell(ctx context.Context, clock clock.Clock, changed func()) {
	for begun := false; ctx.Err() == nil; {
		list, err := s.Resource.List(ctx, metav1.ListOptions{LabelSelector: s.Labels, FieldSelector: s.Fields, Limit: 1})
		if err == nil {
			begun = true
			changed() // what was read before may be older
			err = versions(ctx, s, list.GetResourceVersion(), func(watch.Event) bool {
				changed()
				return false
			})
		}
		if apierrors.IsForbidden(err) && !begun {
			return
		}
		pause(ctx, clock)
	}
}

// versions calls see with every event after a resourceVersion, until it returns true. It returns nil then,
// and where the API server has forgotten that version.
func versions(ctx context.Context, s Source, from string, see func(watch.Event) bool) error {
	quiet := klog.NewContext(ctx, logr.Discard()) // a broken connection is not the user's concern while it is made again
	watcher, err := watchtools.NewRetryWatcherWithContext(quiet, from, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector, options.FieldSelector = s.Labels, s.Fields
			return s.Resource.Watch(ctx, options)
		},
	})
	if err != nil {
		return fmt.Errorf("watching: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if event.Type == watch.Error {
			if err := apierrors.FromObject(event.Object); !apierrors.IsGone(err) && !apierrors.IsResourceExpired(err) {
				return fmt.Errorf("watching: %w", err)
			}
			return nil
		}
		if see(event) {
			return nil
		}
	}
	return ctx.Err()
}
