package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
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
	reconcilerOf := func(kind schema.GroupVersionKind) *reconciler {
		return newReconciler(kind, live, mgr.GetEventRecorder(name), opts)
	}
	err = controllerOf(mgr, deploymentKind, opts).
		For(&appsv1.Deployment{}, builder.OnlyMetadata).
		Watches(&appsv1.ReplicaSet{}, handler.EnqueueRequestsFromMapFunc(requestsOf), builder.OnlyMetadata).
		Complete(reconcilerOf(deploymentKind))
	if err != nil {
		return fmt.Errorf("setting up the release controller of deployments: %w", err)
	}
	err = controllerOf(mgr, statefulSetKind, opts).
		For(&appsv1.StatefulSet{}, builder.OnlyMetadata).
		Complete(reconcilerOf(statefulSetKind))
	if err != nil {
		return fmt.Errorf("setting up the release controller of stateful sets: %w", err)
	}
	return nil
}

func controllerOf(mgr ctrl.Manager, kind schema.GroupVersionKind, opts Options) *ctrl.Builder {
	return ctrl.NewControllerManagedBy(mgr).
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
