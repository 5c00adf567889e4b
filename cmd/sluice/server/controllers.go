package server

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"sluice.dev/sluice/canary/controller"
)

// ControllerOptions are the flags of the controllers.
type ControllerOptions struct {
	SettleTime  time.Duration
	Workers     int
	LeaderElect bool
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *ControllerOptions) AddFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&o.SettleTime, "settle-time", o.SettleTime,
		"how long after the hold of a workload that uses config its canary is made")
	flags.IntVar(&o.Workers, "workers", o.Workers, "how many workloads are worked on at once")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect,
		"run the controllers only while this replica holds the Lease "+LeaseName)
}

// Validate reports every fault at once.
func (o ControllerOptions) Validate() error {
	return o.of(time.Now).Validate()
}

func (o ControllerOptions) of(now func() time.Time) controller.Options {
	return controller.Options{SettleTime: o.SettleTime, Workers: o.Workers, Now: now}
}

// controllerShutdown is how long writes that have begun may take to end.
const controllerShutdown = 5 * time.Second

// runControllers runs them until ctx ends. Every term has a manager, and so a
// cache, of its own: a replica that does not lead watches nothing.
func runControllers(ctx context.Context, config *rest.Config, opts controller.Options, seen *caches) error {
	if err := seen.begin(); err != nil {
		return err
	}
	defer seen.end()
	mgr, err := ctrl.NewManager(config, managerOptions(ctx, seen))
	if err != nil {
		return fmt.Errorf("setting up the controllers: %w", err)
	}
	if err := controller.Setup(mgr, opts); err != nil {
		return err
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return seen.follow(ctx, mgr.GetCache()) }))
	if err != nil {
		return fmt.Errorf("setting up the readiness of the controllers: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

func managerOptions(ctx context.Context, seen *caches) ctrl.Options {
	return ctrl.Options{
		Logger: log.FromContext(ctx),
		Cache:  cache.Options{ByObject: controller.CacheOptions(), DefaultWatchErrorHandler: seen.failed},
		// Metrics are served by the process, not by a term.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		// The names are used again in the next term.
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(controllerShutdown),
	}
}
