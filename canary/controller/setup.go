package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary/traffic"
)

const (
	// name of the controller and the reporter of its Events.
	name = "sluice"
	// A write that failed is tried again after 50 ms, 100 ms, ... and at least every 30 s: deadlines of
	// steps are judged on these occasions too.
	firstRetry, lastRetry = 50 * time.Millisecond, 30 * time.Second
	// reconcileTimeout bounds one pass, so that a hanging connection does not hold a worker.
	reconcileTimeout = time.Minute
)

// Setup adds the controller to the manager, whose cache has to be restricted by CacheOptions. It runs
// only while the manager is the leader.
func Setup(mgr ctrl.Manager, opts Options) error {
	if err := opts.Validate(); err != nil {
		return fmt.Errorf("options of the release controller: %w", err)
	}
	opts = opts.withDefaults()
	live, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("making the client of the release controller: %w", err)
	}
	routes, err := newRouteWatch(mgr)
	if err != nil {
		return err
	}
	for _, kind := range []schema.GroupVersionKind{deploymentKind, statefulSetKind} {
		r := newReconciler(kind, live, mgr.GetEventRecorder(name), opts)
		c, err := controllerOf(mgr, kind, opts).Build(r)
		if err != nil {
			return fmt.Errorf("setting up the release controller of %ss: %w", strings.ToLower(kind.Kind), err)
		}
		routes.wakes(kind.Kind, c)
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return traffic.EachKind(ctx, live, routes.watch) }))
	if err != nil {
		return fmt.Errorf("setting up the watches of divided routes: %w", err)
	}
	return nil
}

// controllerOf returns the controller of one kind of workloads. It is woken by the workloads, and by what sluice makes
// for their releases.
func controllerOf(mgr ctrl.Manager, kind schema.GroupVersionKind, opts Options) *ctrl.Builder {
	woken := ctrl.NewControllerManagedBy(mgr)
	if kind == deploymentKind {
		woken = woken.For(&appsv1.Deployment{}, builder.OnlyMetadata).
			Watches(&appsv1.ReplicaSet{}, handler.EnqueueRequestsFromMapFunc(requestsOf), builder.OnlyMetadata)
	} else {
		woken = woken.For(&appsv1.StatefulSet{}, builder.OnlyMetadata)
	}
	return woken.
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(ownersOf(kind.Kind)), builder.OnlyMetadata).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(behindEndpoints(mgr.GetCache(), kind)), builder.OnlyMetadata).
		Named(strings.ToLower(kind.Kind) + "-release").
		WithLogConstructor(func(request *reconcile.Request) logr.Logger {
			log := mgr.GetLogger().WithValues("kind", kind.Kind)
			if request != nil {
				log = log.WithValues("workload", request.String())
			}
			return log
		}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: opts.Workers,
			ReconciliationTimeout:   reconcileTimeout,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		})
}
