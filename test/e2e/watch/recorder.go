package watch

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Recorder keeps every version of every Deployment, ReplicaSet, StatefulSet, ControllerRevision, pod and
// EndpointSlice of a namespace from the moment it was made. It has no gap but where the API server itself was restarted; Events says so.
type Recorder struct {
	namespace string
	sources   []*source
	cancel    context.CancelFunc
	done      sync.WaitGroup

	mu     sync.Mutex
	events []Event
	lost   error
}

// Record starts to record a namespace in which nothing exists yet.
func Record(ctx context.Context, client kubernetes.Interface, namespace string) (*Recorder, error) {
	r := &Recorder{namespace: namespace, sources: sources(client, namespace)}
	watching, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	for _, s := range r.sources {
		list, err := s.list(ctx)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("listing %s of namespace %s: %w", s.name, namespace, err)
		}
		from, err := meta.NewAccessor().ResourceVersion(list)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("reading the version of a list of %s: %w", s.name, err)
		}
		r.done.Go(func() { r.follow(watching, s, from) })
	}
	return r, nil
}

// Stop ends the recording.
func (r *Recorder) Stop() {
	r.cancel()
	r.done.Wait()
}

// Mark records a fact that holds for whatever is stored after revision.
func (r *Recorder) Mark(revision int64, m Mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, Event{Revision: revision, At: time.Now(), Mark: &m})
}

// Events returns what was recorded up to now, and the error that made it incomplete, if any.
func (r *Recorder) Events() ([]Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events...), r.lost
}

// Sync waits until everything that is stored now was received.
func (r *Recorder) Sync(ctx context.Context) error {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		behind, err := r.behind(ctx)
		if err != nil || behind == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until the watch of %s saw what is stored: %w", behind, ctx.Err())
		case <-retry.C:
		}
	}
}

// behind returns a resource of which something stored was not received yet.
func (r *Recorder) behind(ctx context.Context) (string, error) {
	for _, s := range r.sources {
		list, err := s.list(ctx)
		if err != nil {
			return "", fmt.Errorf("listing %s of namespace %s: %w", s.name, r.namespace, err)
		}
		stored := map[string]string{}
		err = meta.EachListItem(list, func(o runtime.Object) error {
			m, err := meta.Accessor(o)
			if err == nil {
				stored[string(m.GetUID())] = m.GetResourceVersion()
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("reading a list of %s: %w", s.name, err)
		}
		if !r.received(s, stored) {
			return s.name, nil
		}
	}
	return "", nil
}

func (r *Recorder) received(s *source, stored map[string]string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(stored) != len(s.stored) {
		return false
	}
	for uid, version := range stored {
		if s.stored[uid] != version {
			return false
		}
	}
	return true
}

// follow watches from a revision on, and again from the last one received whenever the API server ends
// the watch or is away.
func (r *Recorder) follow(ctx context.Context, s *source, from string) {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for ctx.Err() == nil {
		w, err := s.watch(ctx, metav1.ListOptions{ResourceVersion: from, AllowWatchBookmarks: true})
		if err == nil {
			for e := range w.ResultChan() {
				if e.Type == apiwatch.Error {
					err = apierrors.FromObject(e.Object)
					break
				}
				from = r.receive(s, e)
			}
			w.Stop()
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			from = r.relist(ctx, s, from)
		}
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
	}
}

func (r *Recorder) lose(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost == nil {
		r.lost = err
	}
}

// receive records an event and returns its revision.
func (r *Recorder) receive(s *source, e apiwatch.Event) string {
	m, err := meta.Accessor(e.Object)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: an event without metadata: %v", err))
	}
	version := m.GetResourceVersion()
	if e.Type == apiwatch.Bookmark {
		return version
	}
	revision, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: resourceVersion %q is no number: %v", version, err))
	}
	event := Event{Revision: revision, At: time.Now(), Deleted: e.Type == apiwatch.Deleted}
	switch o := e.Object.(type) {
	case *appsv1.Deployment:
		event.Deployment = o
	case *appsv1.ReplicaSet:
		event.ReplicaSet = o
	case *appsv1.StatefulSet:
		event.StatefulSet = o
	case *appsv1.ControllerRevision:
		event.ControllerRevision = o
	case *corev1.Pod:
		event.Pod = o
	case *discoveryv1.EndpointSlice:
		event.Slice = o
	}
	r.append(s, event)
	return version
}

func (r *Recorder) append(s *source, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	o := e.object()
	s.stored[string(o.GetUID())] = o.GetResourceVersion()
	if e.Deleted {
		delete(s.stored, string(o.GetUID()))
	}
}
