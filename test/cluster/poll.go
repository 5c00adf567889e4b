package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// final is an error that trying again does not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// late is the error of the last try.
type late struct{ error }

func (l late) Unwrap() error { return l.error }

// poll tries until done returns nil or a final error, or ctx ends. Its error
// then is the last one that done returned, which says what was missing.
func poll(ctx context.Context, done func() error) error {
	err := until(ctx.Done(), done)
	if gaveUp := (late{}); errors.As(err, &gaveUp) {
		return fmt.Errorf("%w, at last: %w", ctx.Err(), gaveUp.error)
	}
	return err
}

// until tries until done returns nil or a final error, or something comes from
// stop: then the last error is marked late.
func until[T any](stop <-chan T, done func() error) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		if cause := (final{}); errors.As(err, &cause) {
			return cause.error
		}
		select {
		case <-stop:
			return late{err}
		case <-retry.C:
		}
	}
}
