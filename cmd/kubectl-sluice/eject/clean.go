package eject

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// clean does what is left to do for items once their releases have ended, and waits for pods.
func (e *Ejector) clean(ctx context.Context, items []*Item) error {
	until := e.Clock.Now().Add(max(e.Timeout, settles))
	said := map[*Item]wait{}
	var failures []error
	for len(items) > 0 {
		var left []*Item
		for _, item := range items {
			waits, err := e.step(ctx, item)
			switch {
			case err != nil:
				failures = append(failures, err)
				continue
			case waits == wait{}:
				continue
			case said[item] != waits && waits != changed:
				e.Say(item.Ref, "waiting for "+waits.what)
			}
			said[item] = waits
			left = append(left, item)
		}
		items = left
		if len(items) == 0 {
			break
		}
		if !e.Clock.Now().Before(until) {
			for _, item := range items {
				failures = append(failures, fmt.Errorf("%s still waits for %s", item.Ref, said[item].over()))
			}
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.Clock.After(lookEvery):
		}
	}
	return errors.Join(failures...)
}

// step does what can be done for an item now and returns what it waits for, empty where nothing is left.
func (e *Ejector) step(ctx context.Context, item *Item) (waits wait, err error) {
	for range attempts {
		if waits, err = e.tryStep(ctx, item); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return waits, err
		}
	}
	return changed, nil // looked at again later
}

func (e *Ejector) tryStep(ctx context.Context, item *Item) (waits wait, err error) {
	if item.Kind == workload.StatefulSet {
		waits, err = e.stepSet(ctx, item)
	} else {
		waits, err = e.sweep(ctx, item)
	}
	if waits == (wait{}) && err == nil {
		waits, err = e.finish(ctx, item)
	}
	return waits, err
}
