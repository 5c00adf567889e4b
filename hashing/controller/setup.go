package controller

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

const (
	name = "config"
	// A look that failed is tried again after 50 ms, 100 ms, ... and at least every 30 s.
	firstRetry, lastRetry = 50 * time.Millisecond, 30 * time.Second
	lookTimeout           = time.Minute
	// wokenAtOnce of those that wait are looked at when one of the others is healthy, which makes room for
	// one, or has failed; the second is for a wake-up that came to nothing.
	wokenAtOnce = 2
)

type queue = workqueue.TypedRateLimitingInterface[workload]

// Setup adds the controller to the manager. It runs only while the manager is the leader. The namespaces
// that are spared are those that the webhooks leave alone.
func Setup(ctx context.Context, mgr ctrl.Manager, keyring Keyring, spared []string, opts Options) error {
	if err := opts.Validate(); err != nil {
		return fmt.Errorf("options of the config controller: %w", err)
	}
	opts = opts.withDefaults()
	// A cache of its own: the manager's holds other parts of the same kinds.
	watched, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.HTTPClient, o.Scheme, o.Logger = mgr.GetHTTPClient(), mgr.GetScheme(), mgr.GetLogger()
		o.Cache = cacheOptions()
		o.Cache.DefaultWatchErrorHandler = opts.WatchFailed
	})
	if err != nil {
		return fmt.Errorf("making the cache of the config controller: %w", err)
	}
	if err := mgr.Add(watched); err != nil {
		return fmt.Errorf("adding the cache of the config controller: %w", err)
	}
	if err := indexUsers(ctx, watched.GetCache()); err != nil {
		return err
	}
	live, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("making the client of the config controller: %w", err)
	}
	configs, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("making the client of the config controller: %w", err)
	}
	u := users{watched.GetCache()}
	r := &reconciler{
		live: live, users: u, keyring: keyring, recorder: mgr.GetEventRecorder("sluice"),
		rations: newRations(u, opts.AtOnce), renotes: newRenotes(), spared: map[string]bool{}, settle: opts.SettleTime, now: opts.Now,
	}
	for _, namespace := range spared {
		r.spared[namespace] = true
	}
	return r.start(mgr, &triggers{
		users: u, rations: r.rations, renotes: r.renotes, configs: configs, currentKey: keyring.Current,
		settle: opts.SettleTime, now: opts.Now,
	})
}

// cacheOptions: namespaces that opted in, and what strip leaves of workloads.
func cacheOptions() cache.Options {
	optedIn := labels.SelectorFromSet(labels.Set{canary.EnabledLabel: "true"})
	by := map[client.Object]cache.ByObject{
		&corev1.Namespace{}: {Label: optedIn, Transform: onlyPolicy},
	}
	for _, k := range kinds {
		by[k.object] = cache.ByObject{Transform: strip}
	}
	return cache.Options{ByObject: by}
}

// onlyPolicy keeps of a Namespace what counts as policy.
func onlyPolicy(object any) (any, error) {
	m, ok := object.(metav1.Object)
	if !ok {
		return object, nil // a tombstone
	}
	m.SetManagedFields(nil)
	annotations := map[string]string{}
	for key, value := range m.GetAnnotations() {
		if strings.HasPrefix(key, "sluice.dev/") {
			annotations[key] = value
		}
	}
	m.SetAnnotations(annotations)
	return object, nil
}

func (r *reconciler) start(mgr ctrl.Manager, t *triggers) error {
	c, err := controller.NewTyped(name, mgr, controller.TypedOptions[workload]{
		Reconciler: r,
		// One at a time, so that what the rations allow is what was written.
		MaxConcurrentReconciles: 1,
		ReconciliationTimeout:   lookTimeout,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[workload](firstRetry, lastRetry),
		LogConstructor: func(w *workload) logr.Logger {
			log := mgr.GetLogger()
			if w != nil {
				log = log.WithValues("kind", w.kind, "workload", w.NamespacedName.String())
			}
			return log
		},
	})
	if err != nil {
		return fmt.Errorf("setting up the config controller: %w", err)
	}
	for kind, k := range kinds {
		if err := c.Watch(source.TypedKind(t.users.cache, k.object, t.ofWorkloads(kind))); err != nil {
			return fmt.Errorf("watching %ss: %w", strings.ToLower(kind), err)
		}
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := c.Watch(source.TypedKind(t.users.cache, client.Object(namespace), t.ofNamespaces())); err != nil {
		return fmt.Errorf("watching namespaces: %w", err)
	}
	if err := c.Watch(source.TypedFunc[workload](t.ofConfig)); err != nil {
		return fmt.Errorf("watching config: %w", err)
	}
	if err := c.Watch(source.TypedFunc[workload](t.ofKeys)); err != nil {
		return fmt.Errorf("watching the hash key: %w", err)
	}
	return nil
}

// triggers say which workloads to look at, and when.
type triggers struct {
	users      users
	rations    *rations
	renotes    *renotes
	configs    metadata.Interface
	currentKey func() string
	settle     time.Duration
	now        func() time.Time
}

func (t *triggers) ofWorkloads(kind string) handler.TypedEventHandler[client.Object, workload] {
	named := func(o client.Object) workload {
		return workload{kind, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}}
	}
	return handler.TypedFuncs[client.Object, workload]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[client.Object], q queue) {
			t.look(ctx, q, user{named(e.Object), e.Object})
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[client.Object], q queue) {
			t.rations.shown(named(e.ObjectNew), hashing.DecodeSeen(e.ObjectNew.GetAnnotations()))
			if !isLook(e.ObjectOld, e.ObjectNew) {
				return
			}
			t.look(ctx, q, user{named(e.ObjectNew), e.ObjectNew})
			if makesRoom(e.ObjectOld, e.ObjectNew) {
				t.wake(e.ObjectNew.GetNamespace(), q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[client.Object], q queue) {
			t.rations.forget(named(e.Object))
			t.renotes.forget(named(e.Object))
			t.wake(e.Object.GetNamespace(), q)
		},
	}
}

// makesRoom: a workload is not on the way any more, or uses something else.
func makesRoom(before, after client.Object) bool {
	now := state(after)
	return (now != rolling && now != state(before)) || before.GetAnnotations()[usesAnnotation] != after.GetAnnotations()[usesAnnotation]
}

// wake has those looked at that have waited the longest for others of their namespace.
func (t *triggers) wake(namespace string, q queue) {
	for _, w := range t.rations.next(namespace, wokenAtOnce) {
		q.Add(w)
	}
}

// ofNamespaces: opting in or out, or another policy.
func (t *triggers) ofNamespaces() handler.TypedEventHandler[client.Object, workload] {
	all := func(ctx context.Context, namespace string, q queue) {
		t.add(ctx, q, client.InNamespace(namespace))
	}
	return handler.TypedFuncs[client.Object, workload]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[client.Object], q queue) {
			all(ctx, e.Object.GetName(), q)
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[client.Object], q queue) {
			if isLook(e.ObjectOld, e.ObjectNew) {
				all(ctx, e.ObjectNew.GetName(), q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[client.Object], q queue) {
			all(ctx, e.Object.GetName(), q)
		},
	}
}

// ofConfig watches ConfigMaps and Secrets until ctx ends.
func (t *triggers) ofConfig(ctx context.Context, q queue) error {
	w := configWatch{
		client: t.configs, now: t.now,
		changed: func(ctx context.Context, kind hashing.Kind, at types.NamespacedName) {
			t.add(ctx, q, client.InNamespace(at.Namespace), client.MatchingFields{usesField: hashing.ObjectName(kind, at.Name)})
		},
		gap: func(ctx context.Context) { t.add(ctx, q) },
	}
	var running sync.WaitGroup
	for kind := range sources {
		running.Go(func() { w.run(ctx, kind) })
	}
	return nil
}

// add has the workloads that match looked at, once the settle time is over.
func (t *triggers) add(ctx context.Context, q queue, opts ...client.ListOption) {
	found, err := t.users.list(ctx, opts...)
	if err != nil {
		if ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "looking for workloads failed") // only a cache that was stopped fails
		}
		return
	}
	for _, u := range found {
		t.look(ctx, q, u)
	}
}

// look has a workload looked at once its settle time is over, where it uses config at all.
func (t *triggers) look(ctx context.Context, q queue, u user) {
	if u.GetAnnotations()[usesAnnotation] == "" && u.GetAnnotations()[postponedAnnotation] == "" {
		return
	}
	// What the cache cannot tell now, it tells when the Namespace is in it: then all are looked at again.
	namespace, _ := t.users.namespace(ctx, u.Namespace)
	q.AddAfter(u.workload, cmp.Or(canary.SettleTime(u.GetAnnotations(), namespace), t.settle))
}
