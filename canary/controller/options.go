package controller

import (
	"errors"
	"fmt"
	"time"
)

// Options of the controller; a zero field means its default.
type Options struct {
	// SettleTime is how long after the hold of a workload that uses config its canary is made, so that a
	// ConfigMap applied right after its Deployment belongs to the same release.
	SettleTime time.Duration
	// Workers is how many workloads are worked on at once.
	Workers int
	// Now is the clock.
	Now func() time.Time
}

// Defaults of Options.
const (
	DefaultSettleTime = 2 * time.Second
	DefaultWorkers    = 4
)

// Validate lists every fault at once.
func (o Options) Validate() error {
	var faults []error
	if o.SettleTime < 0 || o.SettleTime > time.Minute {
		faults = append(faults, fmt.Errorf("settle time %s: want at most 1m, or 0s for the default of %s", o.SettleTime, DefaultSettleTime))
	}
	if o.Workers < 0 || o.Workers > 64 {
		faults = append(faults, fmt.Errorf("workers %d: want at most 64, or 0 for the default of %d", o.Workers, DefaultWorkers))
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	if o.SettleTime == 0 {
		o.SettleTime = DefaultSettleTime
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
