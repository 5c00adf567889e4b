package eject

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// trial does what can be done for an item now and returns what it waits for, empty where nothing is left.
type trial func(ctx context.Context, item *Item) (wait, error)

// clean does what is left to do for items once their releases have ended, and waits for pods.
func (e *Ejector) clean(ctx context.Context, items []*Item) error {
	_, err := e.work(ctx, items, e.tryStep)
	return err
}

// work tries items until they wait for nothing. It returns those of which nothing failed.
func (e *Ejector) work(ctx context.Context, items []*Item, try trial) (done []*Item, err error) {
	until := e.Clock.Now().Add(max(e.Timeout, settles))
	said := map[*Item]wait{}
	var failures []error
	for len(items) > 0 {
		var left []*Item
		for _, item := range items {
			waits, err := step(ctx, item, try)
			switch {
			case err != nil:
				failures = append(failures, err)
				continue
			case waits == wait{}:
				done = append(done, item)
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
			return nil, ctx.Err()
		case <-e.Clock.After(lookEvery):
		}
	}
	return done, errors.Join(failures...)
}

// step tries again where somebody else wrote meanwhile.
func step(ctx context.Context, item *Item, try trial) (waits wait, err error) {
	for range attempts {
		if waits, err = try(ctx, item); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return waits, err
		}
	}
	return changed, nil // looked at again later
}

// tryStep: requests first, then pods, then the routes themselves.
func (e *Ejector) tryStep(ctx context.Context, item *Item) (waits wait, err error) {
	pods := e.sweep
	if item.Kind == workload.StatefulSet {
		pods = e.stepSet
	}
	for _, try := range []trial{e.turnAside, pods, e.giveBack, e.finish} {
		if waits, err = try(ctx, item); waits != (wait{}) || err != nil {
			return waits, err
		}
	}
	return wait{}, nil
}
