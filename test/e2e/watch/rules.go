package watch

import (
	"fmt"
	"time"
)

func (w *workload) judge(counts map[string]tally, at time.Time) []Violation {
	found := w.judgePods(counts, at)
	if w.disturbed {
		return found
	}
	return append(append(found, w.judgeAvailability(counts)...), w.judgeStable(counts, at)...)
}

func (w *workload) judgePods(counts map[string]tally, at time.Time) []Violation {
	var found []Violation
	if !w.trusted[w.key()] {
		w.limits[w.key()] = w.limit()
	}
	for key, t := range counts {
		limit := w.loosened(w.limits[key], at)
		if !w.trusted[key] && t.pods > limit {
			found = append(found, Violation{Rule: "ungated", Message: fmt.Sprintf(
				"%d pods of template %s, which is not approved, where step %d of %d allows %d at %d replicas",
				t.pods, key, w.approved+1, len(w.steps), limit, w.current.n)})
		}
	}
	// The canary of a StatefulSet replaces stable pods, so those of a superseded version go before it comes.
	if most, unapproved := w.loosened(w.most(counts), at), w.unapproved(counts); w.isSet() && unapproved > most {
		found = append(found, Violation{Rule: "ungated", Message: fmt.Sprintf(
			"%d pods of templates that are not approved, where %d are allowed of any one", unapproved, most)})
	}
	return found
}

func (w *workload) loosened(limit int, at time.Time) int {
	if at.Before(w.looseUntil) {
		return max(limit, w.loose)
	}
	return limit
}

// most is the greatest limit of the unapproved templates that run or are in the spec.
func (w *workload) most(counts map[string]tally) int {
	most := 0
	if !w.trusted[w.key()] {
		most = w.limits[w.key()]
	}
	for key, t := range counts {
		if !w.trusted[key] && t.pods > 0 {
			most = max(most, w.limits[key])
		}
	}
	return most
}

func (w *workload) unapproved(counts map[string]tally) int {
	pods := 0
	for key, t := range counts {
		if !w.trusted[key] {
			pods += t.pods
		}
	}
	return pods
}

func (w *workload) judgeAvailability(counts map[string]tally) []Violation {
	available := sum(counts).available
	if want := w.all.n - w.current.unavailable; w.all.reached && available < want {
		return []Violation{{Rule: "availability", Message: fmt.Sprintf(
			"%d pods are available where %d - maxUnavailable is %d", available, w.all.n, want)}}
	}
	return nil
}

// judgeStable: while a template is held, the pods of the approved ones stay; those of a StatefulSet but for
// the canary's, which replace some of them.
func (w *workload) judgeStable(counts map[string]tally, at time.Time) []Violation {
	stable, floor, held := w.stableAvailable(counts), w.stable, w.current.paused
	if w.isSet() {
		floor, held = w.all, true
		floor.n -= max(w.current.unavailable, w.loosened(w.most(counts), at))
	}
	if held && !w.trusted[w.key()] && floor.reached && stable < floor.n {
		return []Violation{{Rule: "stable", Message: fmt.Sprintf(
			"%d pods of the stable template are available while another is held, where %d are wanted", stable, floor.n)}}
	}
	return nil
}

// limit is how many pods of the current template the current step allows at the current N.
func (w *workload) limit() int {
	if len(w.steps) == 0 {
		return 0
	}
	n := w.current.n
	s := w.steps[min(w.approved, len(w.steps)-1)]
	percent := int(s.Weight)
	if s.Percent > 0 {
		percent = int(s.Percent)
	}
	size := (n*percent + 99) / 100
	if s.Pods > 0 {
		size = int(s.Pods)
	}
	size = min(max(size, 1), n)
	if w.isSet() { // one stable pod stays, and so do those below the user's own partition
		return max(0, min(size, n-1, n-w.wish.partition))
	}
	return size
}
