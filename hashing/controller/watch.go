package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	watchtools "k8s.io/client-go/tools/watch"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/hashing"
)

// sources are the resources that hold config.
var sources = map[hashing.Kind]string{hashing.ConfigMap: "configmaps", hashing.Secret: "secrets"}

// configWatch tells of changes of ConfigMaps and Secrets by name. It keeps nothing of them: whoever hears of a change
// reads the object, and after a gap, as at the start, everything is looked at.
type configWatch struct {
	client metadata.Interface
	now    func() time.Time
	// changed is called for each event, gap where events may have been missed.
	changed func(ctx context.Context, kind hashing.Kind, name types.NamespacedName)
	gap     func(ctx context.Context)
}

// run watches one kind until ctx ends.
func (w configWatch) run(ctx context.Context, kind hashing.Kind) {
	backoff := wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 10, Cap: 30 * time.Second}
	pause := backoff
	for ctx.Err() == nil {
		began := w.now()
		err := w.once(ctx, kind)
		if ctx.Err() != nil {
			return
		}
		if w.now().Sub(began) > time.Minute {
			pause = backoff
		}
		logf.FromContext(ctx).Info("watching config again", "kind", kind, "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(pause.Step()):
		}
	}
}

// once watches from now on until events may have been missed.
func (w configWatch) once(ctx context.Context, kind hashing.Kind) error {
	resource := w.client.Resource(corev1.SchemeGroupVersion.WithResource(sources[kind]))
	now, err := resource.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("asking for the current version of %s: %w", sources[kind], err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, now.ResourceVersion, starter{resource})
	if err != nil {
		return fmt.Errorf("watching %s: %w", sources[kind], err)
	}
	defer events.Stop()
	w.gap(ctx)
	for event := range events.ResultChan() {
		object, ok := event.Object.(*metav1.PartialObjectMetadata)
		switch {
		case event.Type == watch.Error:
			return fmt.Errorf("watching %s: %w", sources[kind], apierrors.FromObject(event.Object))
		case !ok: // its content is nobody's to log
			return fmt.Errorf("watching %s: an event is about a %T", sources[kind], event.Object)
		}
		w.changed(ctx, kind, types.NamespacedName{Namespace: object.Namespace, Name: object.Name})
	}
	return errors.New("the watch ended")
}

// starter starts watches of a resource.
type starter struct{ resource metadata.Getter }

// WatchWithContext says that a version is too old in an event, in which the API server itself says so mostly: the
// RetryWatcher asks for the same version forever where that is an error.
func (s starter) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	events, err := s.resource.Watch(ctx, options)
	var status apierrors.APIStatus
	if (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) && errors.As(err, &status) {
		tooOld := make(chan watch.Event, 1)
		object := status.Status()
		tooOld <- watch.Event{Type: watch.Error, Object: &object}
		return watch.NewProxyWatcher(tooOld), nil
	}
	return events, err
}
