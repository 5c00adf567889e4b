package certs

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// firstRetry is the pause after a failed round; it doubles up to the Interval.
const firstRetry = shortestPause

// Bootstrap returns when Ready does, or with the reason why not when ctx ends.
// Start does the same work: call Bootstrap only to wait for it.
func (a *Authority) Bootstrap(ctx context.Context) error {
	ready, stop := context.WithCancel(ctx)
	defer stop()
	a.rotate(ready, func() {
		if a.Ready() == nil {
			stop()
		}
	})
	if err := a.Ready(); err != nil {
		return fmt.Errorf("waiting for a trusted serving certificate: %w", errors.Join(err, ctx.Err()))
	}
	return nil
}

// Start keeps the certificates until ctx ends. No error ends it: the present
// leaf serves on, and the error is logged and the round repeated.
func (a *Authority) Start(ctx context.Context) error {
	a.rotate(ctx, func() {})
	return nil
}

// rotate makes rounds until ctx ends and calls done after each.
func (a *Authority) rotate(ctx context.Context, done func()) {
	retry := firstRetry
	for ctx.Err() == nil {
		wait, err := a.round(ctx)
		if err == nil {
			retry = firstRetry
		} else if ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "keeping the webhook certificates failed")
			wait, retry = min(retry, a.opts.Interval), min(2*retry, a.opts.Interval)
		}
		done()
		select {
		case <-ctx.Done():
		case <-a.after(wait):
		}
	}
}
