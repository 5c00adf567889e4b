package collector

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// watched are kinds that the manager's cache holds anyway, as metadata. What else may need a snapshot waits for the
// next round.
var watched = []string{"Deployment", "StatefulSet", "ReplicaSet"}

// Setup adds a Collector to the manager. It runs only while the manager is the leader.
func Setup(mgr ctrl.Manager, keyring Keyring, opts Options) error {
	live, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("making the client that collects snapshots: %w", err)
	}
	c := New(live, keyring, mgr.GetEventRecorder("sluice"), opts)
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for _, kind := range watched {
			if err := c.watch(ctx, mgr, kind); err != nil {
				if ctx.Err() != nil {
					return nil //nolint:nilerr // it was told to stop
				}
				return err
			}
		}
		return c.Start(ctrl.LoggerInto(ctx, mgr.GetLogger()))
	}))
	if err != nil {
		return fmt.Errorf("setting up what collects snapshots: %w", err)
	}
	return nil
}

// watch has the namespace looked at in which something of a kind is deleted.
func (c *Collector) watch(ctx context.Context, mgr ctrl.Manager, kind string) error {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind(kind))
	informer, err := mgr.GetCache().GetInformer(ctx, object)
	if err == nil {
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(gone any) {
			if last, ok := gone.(toolscache.DeletedFinalStateUnknown); ok {
				gone = last.Obj
			}
			if metadata, ok := gone.(metav1.Object); ok {
				c.deleted(metadata.GetNamespace())
			}
		}})
	}
	if err != nil {
		return fmt.Errorf("watching %ss for what collects snapshots: %w", kind, err)
	}
	return nil
}
