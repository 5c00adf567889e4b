package watch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice.dev/sluice/canary"
)

// tally counts the pods of one template.
type tally struct{ pods, available int }

// workload is what the judge knows of one Deployment or StatefulSet.
type workload struct {
	current version
	// trusted are the templates that may run in any number: the first one, and what was approved.
	trusted map[string]bool
	// limits are how many pods of an untrusted template may run, as last computed while it was in the spec.
	limits map[string]int
	// loose is a limit from before N changed, which still counts until looseUntil.
	loose      int
	looseUntil time.Time

	steps     []canary.Step
	approved  int       // steps of the current template that are over
	fullSince time.Time // when the current step's pods were all available, for its duration
	native    bool      // the next template is trusted
	disturbed bool
	rushed    bool

	all, stable floor
	wish        wish
}

func newWorkload(v version) *workload {
	return &workload{
		current: v, trusted: map[string]bool{v.key: true}, limits: map[string]int{}, wish: wishOf(v),
	}
}

// key is of the template in the spec.
func (w *workload) key() string { return w.current.key }

func (w *workload) String() string { return strings.ToLower(w.current.kind) + " " + w.current.name }

func (w *workload) isSet() bool { return w.current.kind == canary.StatefulSet }

func (w *workload) mark(m Mark) {
	switch m.Fact {
	case Approved:
		w.advance()
	case ApprovedFull:
		w.approved = len(w.steps)
		w.advance()
	case Retried:
		w.approved, w.fullSince = 0, time.Time{}
	case Native:
		w.native = true
	case Disturbed:
		w.disturbed = true
	case Restored:
		w.disturbed, w.all, w.stable = false, floor{}, floor{}
	case Paused, Unpaused:
		w.wish.paused = m.Fact == Paused
	case Surge:
		w.wish.maxSurge = m.Value
	case Partition:
		w.wish.partition = numberOf(m)
	case Rushed:
		w.rushed = true
	default:
		panic(fmt.Sprintf("this is a bug: fact %q", m.Fact))
	}
}

// advance ends the current step; with the last one, the template is trusted.
func (w *workload) advance() {
	w.fullSince = time.Time{}
	w.approved++
	if w.approved >= len(w.steps) {
		w.trusted[w.key()] = true
	}
}

func (w *workload) update(v version, defaultSteps string, at time.Time) {
	old := w.current
	if old.n != v.n && !w.trusted[w.key()] {
		w.loose, w.looseUntil = max(w.limit(), w.limits[w.key()]), at.Add(Settle)
		if w.rushed && v.n > old.n {
			w.loose += v.n - old.n
		}
	}
	w.current = v
	if v.key == old.key {
		return
	}
	w.approved, w.fullSince = 0, time.Time{}
	w.stable = floor{} // a rollout that is stopped half way may be at N - maxUnavailable
	w.steps = old.steps(defaultSteps)
	if w.native {
		w.trusted[v.key], w.native = true, false
	}
}

// settle draws conclusions from the pods that exist now.
func (w *workload) settle(counts map[string]tally, at time.Time) {
	n, total := w.current.n, sum(counts)
	// The rollout of a trusted template is over: it is the only one from now on.
	if now := counts[w.key()]; w.trusted[w.key()] && now.pods == n && total.pods == n && now.available == n {
		w.trusted = map[string]bool{w.key(): true}
	}
	w.timed(counts[w.key()], at)
	w.all.raise(n, total.available)
	w.stable.raise(n, w.stableAvailable(counts))
}

// timed ends a step with a duration after that long with all its pods available. The pods may have
// become available up to a second before that was received.
func (w *workload) timed(t tally, at time.Time) {
	if w.trusted[w.key()] || w.approved >= len(w.steps) || w.steps[w.approved].Wait == 0 {
		return
	}
	switch {
	case t.available < w.limit():
		w.fullSince = time.Time{}
	case w.fullSince.IsZero():
		w.fullSince = at
	case at.Sub(w.fullSince) >= w.steps[w.approved].Wait-time.Second:
		w.advance()
	}
}

func (w *workload) stableAvailable(counts map[string]tally) int {
	available := 0
	for key := range w.trusted {
		available += counts[key].available
	}
	return available
}

// floor is a number of available pods that was reached and is to be kept.
type floor struct {
	reached bool
	n       int
}

// raise follows N: down at once, up once that many were available.
func (f *floor) raise(n, available int) {
	switch {
	case f.reached && n <= f.n:
		f.n = n
	case available >= n:
		f.reached, f.n = true, n
	}
}

func sum(counts map[string]tally) tally {
	total := tally{}
	for _, t := range counts {
		total.pods += t.pods
		total.available += t.available
	}
	return total
}

func numberOf(m Mark) int {
	n, err := strconv.Atoi(m.Value)
	if err != nil {
		panic("this is a bug: a mark of the partition: " + err.Error())
	}
	return n
}
