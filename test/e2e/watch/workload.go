package watch

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
)

// tally counts the pods of one template.
type tally struct{ pods, available int }

// workload is what the judge knows of one Deployment.
type workload struct {
	name    string
	current *appsv1.Deployment
	key     string // of the template in the spec
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

	all, stable floor
	wish        wish
}

func newWorkload(d *appsv1.Deployment) *workload {
	key := templateKey(d.Spec.Template)
	return &workload{
		name: d.Name, current: d, key: key,
		trusted: map[string]bool{key: true}, limits: map[string]int{}, wish: wishOf(d),
	}
}

func (w *workload) mark(m Mark) {
	switch m.Fact {
	case Approved:
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
	default:
		panic(fmt.Sprintf("this is a bug: fact %q", m.Fact))
	}
}

// advance ends the current step; with the last one, the template is trusted.
func (w *workload) advance() {
	w.fullSince = time.Time{}
	w.approved++
	if w.approved >= len(w.steps) {
		w.trusted[w.key] = true
	}
}

func (w *workload) update(d *appsv1.Deployment, defaultSteps string, at time.Time) {
	old := w.current
	if replicas(old) != replicas(d) && !w.trusted[w.key] {
		w.loose, w.looseUntil = max(w.limit(), w.limits[w.key]), at.Add(Settle)
	}
	w.current = d
	key := templateKey(d.Spec.Template)
	if key == w.key {
		return
	}
	w.key, w.approved, w.fullSince = key, 0, time.Time{}
	w.stable = floor{} // a rollout that is stopped half way may be at N - maxUnavailable
	w.steps = stepsOf(old, defaultSteps)
	if w.native {
		w.trusted[key], w.native = true, false
	}
}

// settle draws conclusions from the pods that exist now.
func (w *workload) settle(counts map[string]tally, at time.Time) {
	n := int(replicas(w.current))
	total := tally{}
	for _, t := range counts {
		total.pods += t.pods
		total.available += t.available
	}
	// The rollout of a trusted template is over: it is the only one from now on.
	if now := counts[w.key]; w.trusted[w.key] && now.pods == n && total.pods == n && now.available == n {
		w.trusted = map[string]bool{w.key: true}
	}
	w.timed(counts[w.key], at)
	w.all.raise(n, total.available)
	w.stable.raise(n, w.stableAvailable(counts))
}

// timed ends a step with a duration after that long with all its pods available. The pods may have
// become available up to a second before that was received.
func (w *workload) timed(t tally, at time.Time) {
	if w.trusted[w.key] || w.approved >= len(w.steps) || w.steps[w.approved].Wait == 0 {
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

func (w *workload) judge(counts map[string]tally, at time.Time) []Violation {
	return append(w.judgePods(counts, at), w.judgeAvailability(counts)...)
}

func (w *workload) judgePods(counts map[string]tally, at time.Time) []Violation {
	var found []Violation
	if !w.trusted[w.key] {
		w.limits[w.key] = w.limit()
	}
	for key, t := range counts {
		limit := w.limits[key]
		if at.Before(w.looseUntil) {
			limit = max(limit, w.loose)
		}
		if !w.trusted[key] && t.pods > limit {
			found = append(found, Violation{Rule: "ungated", Message: fmt.Sprintf(
				"%d pods of template %s, which is not approved, where step %d of %d allows %d at %d replicas",
				t.pods, key, w.approved+1, len(w.steps), limit, replicas(w.current))})
		}
	}
	return found
}

func (w *workload) judgeAvailability(counts map[string]tally) []Violation {
	if w.disturbed {
		return nil
	}
	var found []Violation
	available := 0
	for _, t := range counts {
		available += t.available
	}
	if want := w.all.n - maxUnavailable(w.current); w.all.reached && available < want {
		found = append(found, Violation{Rule: "availability", Message: fmt.Sprintf(
			"%d pods are available where %d - maxUnavailable is %d", available, w.all.n, want)})
	}
	held := w.current.Spec.Paused && !w.trusted[w.key]
	if stable := w.stableAvailable(counts); held && w.stable.reached && stable < w.stable.n {
		found = append(found, Violation{Rule: "stable", Message: fmt.Sprintf(
			"%d pods of the stable template are available while another is held, where %d are wanted", stable, w.stable.n)})
	}
	return found
}

// limit is how many pods of the current template the current step allows at the current N.
func (w *workload) limit() int {
	if len(w.steps) == 0 {
		return 0
	}
	n := int(replicas(w.current))
	s := w.steps[min(w.approved, len(w.steps)-1)]
	percent := int(s.Weight)
	if s.Percent > 0 {
		percent = int(s.Percent)
	}
	size := (n*percent + 99) / 100
	if s.Pods > 0 {
		size = int(s.Pods)
	}
	return min(max(size, 1), n)
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

// stepsOf returns the steps that govern a change of d: its own as they stood before, else the
// Namespace's, else one of 20 %.
func stepsOf(d *appsv1.Deployment, defaults string) []canary.Step {
	for _, value := range []string{d.Annotations[canary.StepsAnnotation], defaults, "20%"} {
		if steps, err := canary.ParseSteps(value); value != "" && err == nil {
			return steps
		}
	}
	return nil
}
