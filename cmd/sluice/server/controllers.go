package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"sluice.dev/sluice/canary/controller"
	"sluice.dev/sluice/hashing/collector"
	config "sluice.dev/sluice/hashing/controller"
)

// ControllerOptions are the flags of the controllers.
type ControllerOptions struct {
	SettleTime  time.Duration
	Workers     int
	AtOnce      int
	LeaderElect bool
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *ControllerOptions) AddFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&o.SettleTime, "settle-time", o.SettleTime,
		"how long after a change of config, and after the hold of a workload that uses config, sluice waits for what belongs to it")
	flags.IntVar(&o.Workers, "workers", o.Workers, "how many workloads are worked on at once")
	flags.IntVar(&o.AtOnce, "config-at-once", o.AtOnce,
		"how many workloads that use one ConfigMap or Secret may be on the way to its new content at once")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect,
		"run the controllers only while this replica holds the Lease "+LeaseName)
}

// Validate reports every fault at once.
func (o ControllerOptions) Validate() error {
	return errors.Join(o.release().Validate(), config.Options{AtOnce: o.AtOnce}.Validate())
}

func (o ControllerOptions) release() controller.Options {
	return controller.Options{SettleTime: o.SettleTime, Workers: o.Workers}
}

func (o ControllerOptions) config() config.Options {
	return config.Options{SettleTime: o.SettleTime, AtOnce: o.AtOnce}
}

// controllerShutdown is how long writes that have begun may take to end.
const controllerShutdown = 5 * time.Second

// runControllers runs them until ctx ends. Every term has a manager, and so a
// cache, of its own: a replica that does not lead watches nothing.
func (s *Server) runControllers(ctx context.Context) error {
	seen, opts := &s.caches, s.opts.Controllers
	if err := seen.begin(); err != nil {
		return err
	}
	defer seen.end()
	mgr, err := ctrl.NewManager(s.cluster.Config, managerOptions(ctx, seen))
	if err != nil {
		return fmt.Errorf("setting up the controllers: %w", err)
	}
	if err := controller.Setup(mgr, opts.release()); err != nil {
		return err
	}
	configs := opts.config()
	configs.WatchFailed = seen.failed
	if err := config.Setup(ctx, mgr, s.keyring, []string{metav1.NamespaceSystem, s.opts.Namespace}, configs); err != nil {
		return err
	}
	if err := collector.Setup(mgr, s.keyring, collector.Options{}); err != nil {
		return err
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return seen.follow(ctx, mgr.GetCache()) }))
	if err != nil {
		return fmt.Errorf("setting up the readiness of the controllers: %w", err)
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		s.keyring.Keep(ctx)
		return nil
	}))
	if err != nil {
		return fmt.Errorf("setting up the rotation of the hash key: %w", err)
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
		Controller:              controllerconfig.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(controllerShutdown),
	}
}
