package controller

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// A release makes about 20 writes, and some for each step and each change of N. Whoever undoes what
// sluice writes gets 100 of them at most, then one every 10 seconds.
const (
	burst = 100
	every = 10 * time.Second
	// afterwards is how long a workload is looked at once its release is over: the StatefulSet controller
	// repeats a status that it made up earlier, and with it conditions that were taken off.
	// Source: k8s.io/kubernetes pkg/controller/statefulset/stateful_set_status_updater.go.
	afterwards = 2 * time.Second
)

// pace bounds the writes of each release, so that two actors that fight over a field do not loop. What it
// remembers may be lost.
type pace struct {
	mutex    sync.Mutex
	releases map[types.NamespacedName]*paced
}

type paced struct {
	limiter *rate.Limiter
	of      course
	over    time.Time // when the release was first found over, zero while there is one
}

// course is one release on its way up or, which does not wait for that, down.
type course struct {
	release int64
	down    bool
}

func courseOf(r *canary.Release) course {
	return course{r.ID, r.Phase == canary.Aborted || r.Phase == canary.Reverting}
}

func newPace() *pace {
	return &pace{releases: map[types.NamespacedName]*paced{}}
}

// take counts one write and returns 0, or how long to wait before it may be made.
func (p *pace) take(workload types.NamespacedName, of course, now time.Time) time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	release, ok := p.releases[workload]
	if !ok || !release.over.IsZero() || release.of != of { // another one began
		release = &paced{limiter: rate.NewLimiter(rate.Every(every), burst), of: of}
		p.releases[workload] = release
	}
	if release.limiter.AllowN(now, 1) {
		return 0
	}
	return every
}

// end is called for a workload without a release. It returns how long to go on looking at it, 0 where
// nothing was written to it.
func (p *pace) end(workload types.NamespacedName, now time.Time) time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	release, ok := p.releases[workload]
	if !ok {
		return 0
	}
	if release.over.IsZero() {
		release.over = now
	}
	if left := release.over.Add(afterwards).Sub(now); left > 0 {
		return left
	}
	delete(p.releases, workload)
	return 0
}
