package controller

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// A rotation of the hash key has every workload noted anew, all at once and with no hurry: 500 take 100 s.
	renoteRate, renoteBurst = 5, 10
	// keyLook is how often to compare which key is the current one, which costs no request.
	keyLook = 5 * time.Second
)

// renotes give each workload a time of its own to be noted under another key. It has its place from its first look on.
// All of it may be lost.
type renotes struct {
	mutex   sync.Mutex
	limiter *rate.Limiter
	turns   map[workload]time.Time
}

func newRenotes() *renotes {
	return &renotes{limiter: rate.NewLimiter(renoteRate, renoteBurst), turns: map[workload]time.Time{}}
}

// wait returns how long a workload has to wait, 0 where it is its turn now.
func (r *renotes) wait(w workload, now time.Time) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	turn, given := r.turns[w]
	if !given {
		turn = now.Add(r.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	if wait := turn.Sub(now); wait > 0 {
		r.turns[w] = turn
		return wait
	}
	delete(r.turns, w)
	return 0
}

// forget: the workload is gone.
func (r *renotes) forget(w workload) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.turns, w)
}

// ofKeys has every workload looked at once another key is current, until ctx ends.
func (t *triggers) ofKeys(ctx context.Context, q queue) error {
	go func() {
		for before := t.currentKey(); ctx.Err() == nil; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(keyLook):
			}
			if current := t.currentKey(); current != before {
				before = current
				t.add(ctx, q)
			}
		}
	}()
	return nil
}
