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

// poll tries until done returns nil or a final error. Its error is the last
// one that done returned, which says what was missing.
func poll(ctx context.Context, done func() error) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		if stop := (final{}); errors.As(err, &stop) {
			return stop.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, at last: %w", ctx.Err(), err)
		case <-retry.C:
		}
	}
}
