package canary

import (
	"fmt"
	"strings"
	"time"
)

// lookEvery is how often the canary's pods are looked at while they are awaited: what ails a pod changes
// nothing that is watched.
const lookEvery = 5 * time.Second

// AdoptionTimeout is how long the proof of an adoption is awaited before the canary ReplicaSet is taken
// back and the release falls back to sequence C.
const AdoptionTimeout = time.Minute

// Next returns the next move of a release: at most one write, decided from what was observed alone, so
// that it is the same after a crash. What the workload's conditions tell follows the state when there is
// nothing else to write, and goes before the state does; that a release is stalled goes at once.
func Next(o Observed, now time.Time) Move {
	if o.Mute {
		return forward(o, now)
	}
	if misleads(o) {
		return Move{Write: &Write{ClearConditions: true}}
	}
	move := forward(o, now)
	switch {
	case move.Write == nil:
		move.Write = tell(o)
	case move.Write.EndRelease && o.isTold():
		return Move{Write: &Write{ClearConditions: true}}
	}
	return move
}

// forward brings the release forward. A rule that has nothing to do leaves it to the one below it.
func forward(o Observed, now time.Time) Move {
	r, m := o.Release, o.mechanics()
	if move := slipped(o, m, now); move != nil {
		return *move
	}
	if move := o.atOnce(); move != nil {
		return *move
	}
	if r.Since == nil {
		return stamp(o, now)
	}
	if move := m.restore(now); move != nil {
		return *move
	}
	switch r.Phase {
	case Progressing:
		return progress(o, m, now)
	case Waiting:
		return wait(o, m, now)
	case Promoting:
		return m.promote(now)
	case Aborted:
		return m.abort(now)
	case Reverting:
		return m.revert(now)
	}
	return Move{} // a phase of a newer version of sluice: hands off
}

// mechanics is how a kind of workload runs two versions at once. What returns a *Move returns nil where
// it has nothing to do.
type mechanics interface {
	// lifted: the workload is held no more, although its state says so.
	lifted() bool
	// restore brings the stable version back where it went while it was held.
	restore(now time.Time) *Move
	// clear takes away what earlier releases left.
	clear(now time.Time) *Move
	// idle takes away the canary while no step is under way.
	idle(now time.Time) *Move
	// asked: the pods of the step were asked for.
	asked() bool
	// scale asks for the pods of the step, no more and no fewer.
	scale(now time.Time) *Move
	// settled: exactly the pods of the step run, and all are available.
	settled() bool
	// pods counts the canary's.
	pods() (available, all int32)
	// beginPromotion sets how the release is promoted.
	beginPromotion(next *Release)
	promote(now time.Time) Move
	abort(now time.Time) Move
	revert(now time.Time) Move
}

func (o Observed) mechanics() mechanics {
	if o.Kind == StatefulSet {
		return statefulSet{o}
	}
	return deployment{o}
}

// stamp records when the controller first saw a phase that admission set, which reads no clock.
func stamp(o Observed, now time.Time) Move {
	next := o.Release.at(now)
	return Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}

// at returns a copy that begins now.
func (r *Release) at(now time.Time) *Release {
	next := r.clone()
	since := now.UTC().Truncate(time.Second)
	next.Since = &since
	return next
}

// to returns a copy in another phase that begins now.
func (r *Release) to(phase Phase, now time.Time, reason string) *Release {
	next := r.at(now)
	next.Phase, next.Stage, next.Reason, next.Late, next.Gate, next.Told = phase, "", reason, false, nil, nil
	return next
}

// progress makes the pods of the current step and waits until all are available.
func progress(o Observed, m mechanics, now time.Time) Move {
	r := o.Release
	if r.Step == 0 || o.Workload.Replicas == 0 {
		if move := m.idle(now); move != nil {
			return *move
		}
		return orNothing(o.giveBack(now))
	}
	if move := m.clear(now); move != nil {
		return *move
	}
	if o.UsesConfig && !r.Settled {
		return settle(o, now)
	}
	if move := o.recordFound(); move != nil {
		return *move
	}
	if !m.asked() && !r.Late && r.overdue(now) {
		next := r.at(now)
		next.Late = true
		return Move{Write: &Write{SetRelease: next}}
	}
	if !m.settled() {
		if move := o.divide(o.beside(), now); move != nil {
			return *move
		}
		if move := o.unsaid(now); move != nil && !m.asked() {
			return *move
		}
	}
	if move := m.scale(now); move != nil {
		return *move
	}
	if m.settled() {
		if move := o.divide(o.share(), now); move != nil {
			return *move
		}
		next := r.to(Waiting, now, "")
		return Move{Write: &Write{SetRelease: next}, Event: waiting(o, next)}
	}
	return await(o, m, now)
}

// settle waits until a ConfigMap that was applied after its Deployment is there too; the write makes
// admission read the config once more.
func settle(o Observed, now time.Time) Move {
	if left := o.Release.Since.Add(o.SettleTime).Sub(now); left > 0 {
		return Move{Wait: left}
	}
	next := o.Release.at(now)
	next.Settled = true
	return Move{Write: &Write{SetRelease: next}}
}

// mayTell: messages of a pod alternate, so what ails it is written at most once a minute.
func (r *Release) mayTell(now time.Time) bool {
	return r.Told == nil || now.Sub(*r.Told) >= time.Minute
}

// tellOf writes what people should know.
func tellOf(r *Release, what string, now time.Time) *Move {
	next := r.clone()
	told := now.UTC().Truncate(time.Second)
	next.Reason, next.Told = what, &told
	return &Move{Write: &Write{SetRelease: next}, Event: failing(next)}
}

func orNothing(move *Move) Move {
	if move == nil {
		return Move{}
	}
	return *move
}

// ails says why the canary will not become available as things are, empty where it still may.
func (o Observed) ails() string {
	switch {
	case o.Blocked != "":
		return o.Blocked
	case o.PodsFail:
		return o.PodTrouble
	}
	return ""
}

// overdue tells whether the step's deadline is over.
func (r *Release) overdue(now time.Time) bool {
	return r.left(now) <= 0
}

// left is the time until the step's deadline.
func (r *Release) left(now time.Time) time.Duration {
	return r.Since.Add(time.Duration(r.Policy.Deadline)).Sub(now)
}

// await waits for the canary's pods: it says what ails them as soon as it is known, and aborts once the
// deadline is over.
func await(o Observed, m mechanics, now time.Time) Move {
	r := o.Release
	if !r.overdue(now) {
		if ails := o.ails(); ails != "" && !strings.Contains(r.Reason, ails) && r.mayTell(now) {
			return *tellOf(r, ails, now)
		}
		return Move{Wait: min(r.left(now), lookEvery)}
	}
	available, all := m.pods()
	reason := fmt.Sprintf("%d of %d canary pods were available after %s", available, all, time.Duration(r.Policy.Deadline))
	next := r.to(Aborted, now, withTrouble(reason, o.Blocked+o.PodTrouble))
	return Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}

// wait holds a step whose pods are available until it is approved or its time is over.
func wait(o Observed, m mechanics, now time.Time) Move {
	r := o.Release
	if o.Workload.Replicas == 0 || !m.settled() {
		available, _ := m.pods()
		reason := fmt.Sprintf("%d of %d canary pods are available", available, o.size())
		next := r.to(Progressing, now, withTrouble(reason, o.PodTrouble))
		return Move{Write: &Write{SetRelease: next}, Event: unwell(next)}
	}
	if move := m.scale(now); move != nil {
		return *move
	}
	if move := o.recordFound(); move != nil {
		return *move
	}
	by, left := r.passedBy(now)
	to := o.share()
	if by != "" && o.last() {
		to = o.promotion()
	}
	if move := o.divide(to, now); move != nil {
		return *move
	}
	if by == "" {
		if o.Traffic.divided() && (left == 0 || left > lookBeside) {
			left = lookBeside
		}
		return Move{Wait: left}
	}
	if move := o.unsaid(now); move != nil && o.last() {
		return *move // native controllers take stable pods as soon as they may
	}
	return goOn(o, m, by, now)
}

// passedBy returns who or what lets the current step go on, or else how long until it does by itself; 0: never.
func (r *Release) passedBy(now time.Time) (by string, left time.Duration) {
	step := r.Policy.step(r.Step)
	if by := r.ApprovedBy(r.Step); by != "" || step.Wait == 0 {
		return by, 0
	}
	if left := r.Since.Add(step.Wait).Sub(now); left > 0 {
		return "", left
	}
	return fmt.Sprintf("its duration of %s", step.Wait), 0
}

// last: after the current step comes the promotion.
func (o Observed) last() bool {
	r := o.Release
	return r.Step >= len(r.Policy.steps()) || r.approval(r.Step).Full
}

// goOn starts the next step, or the promotion after the last one.
func goOn(o Observed, m mechanics, by string, now time.Time) Move {
	r := o.Release
	if !o.last() {
		next := r.to(Progressing, now, "")
		next.Step++
		return Move{Write: &Write{SetRelease: next}, Event: passed(r, by)}
	}
	next := r.to(Promoting, now, "")
	m.beginPromotion(next)
	return Move{Write: &Write{SetRelease: next}, Event: passed(r, by)}
}
