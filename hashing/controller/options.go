package controller

import (
	"errors"
	"fmt"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
)

// Options of the controller; a zero field means its default.
type Options struct {
	// SettleTime is how long after a config event its workloads are looked at, so that what changes together is one
	// release.
	SettleTime time.Duration
	// AtOnce is how many workloads that use one object may be on the way to its new content at once.
	AtOnce int
	// Now is the clock.
	Now func() time.Time
	// WatchFailed is called when listing or watching workloads fails, which is then tried again; nil: it is logged.
	WatchFailed toolscache.WatchErrorHandlerWithContext
}

// Defaults of Options.
const (
	DefaultSettleTime = 2 * time.Second
	DefaultAtOnce     = 10
)

// Validate lists every fault at once.
func (o Options) Validate() error {
	var faults []error
	if o.SettleTime < 0 || o.SettleTime > time.Minute {
		faults = append(faults, fmt.Errorf("settle time %s: want at most 1m, or 0s for the default of %s", o.SettleTime, DefaultSettleTime))
	}
	if o.AtOnce < 0 {
		faults = append(faults, fmt.Errorf("config at once %d: want at least 1, or 0 for the default of %d", o.AtOnce, DefaultAtOnce))
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	if o.SettleTime == 0 {
		o.SettleTime = DefaultSettleTime
	}
	if o.AtOnce == 0 {
		o.AtOnce = DefaultAtOnce
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
