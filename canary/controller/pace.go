package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// A release makes about 20 writes, and some for each step and each change of N. Whoever undoes what
// sluice writes gets 100 of them at most, then one every 10 seconds.
const (
	burst = 100
	every = 10 * time.Second
)

// pace bounds the writes of each release, so that two actors that fight over a field do not loop.
type pace struct {
	mutex    sync.Mutex
	releases map[types.NamespacedName]*rate.Limiter
}

func newPace() *pace {
	return &pace{releases: map[types.NamespacedName]*rate.Limiter{}}
}

// take counts one write and returns 0, or how long to wait before it may be made.
func (p *pace) take(workload types.NamespacedName, now time.Time) time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	limiter, ok := p.releases[workload]
	if !ok {
		limiter = rate.NewLimiter(rate.Every(every), burst)
		p.releases[workload] = limiter
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	return every
}

// forget is called for a workload without a release.
func (p *pace) forget(workload types.NamespacedName) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.releases, workload)
}
