package canary

import (
	"fmt"
	"time"
)

// AdoptionTimeout is how long the proof of an adoption is awaited before the canary ReplicaSet is taken
// back and the release falls back to sequence C.
const AdoptionTimeout = time.Minute

// Next returns the next move of a release: at most one write, decided from what was observed alone, so
// that it is the same after a crash. A rule that has nothing to do leaves it to the one below it.
func Next(o Observed, now time.Time) Move {
	r := o.Release
	if move := slipped(o, now); move != nil {
		return *move
	}
	if r.Since == nil {
		return stamp(o, now)
	}
	if move := restoreStable(o, now); move != nil {
		return *move
	}
	switch r.Phase {
	case Progressing:
		return progress(o, now)
	case Waiting:
		return wait(o, now)
	case Promoting:
		return promote(o, now)
	case Aborted:
		return abort(o, now)
	case Reverting:
		return revert(o, now)
	}
	return Move{} // a phase of a newer version of sluice: hands off
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
	next.Phase, next.Stage, next.Reason, next.Late = phase, "", reason, false
	return next
}

// progress makes the pods of the current step and waits until all are available.
func progress(o Observed, now time.Time) Move {
	r := o.Release
	if r.Step == 0 || o.Deployment.Replicas == 0 {
		return idle(o, r)
	}
	if move := prepare(o, now); move != nil {
		return *move
	}
	canary := o.canary()
	if (canary == nil || canary.Replicas != o.size()) && !r.Late && r.overdue(now) {
		next := r.at(now)
		next.Late = true
		return Move{Write: &Write{SetRelease: next}}
	}
	switch {
	case canary == nil && o.Blocked == "":
		return createCanary(o)
	case canary == nil:
		return await(o, &ReplicaSet{Replicas: o.size()}, now)
	}
	if canary.Labelled || canary.Owned {
		return *takeBack(canary)
	}
	if move := resize(o, canary, o.size()); move != nil {
		return *move
	}
	if canary.Settled() {
		next := r.to(Waiting, now, "")
		return Move{Write: &Write{SetRelease: next}, Event: waiting(o, next)}
	}
	return await(o, canary, now)
}

// prepare does what comes before the canary: the stable template is recorded, earlier canaries are
// gone, and the config has settled.
func prepare(o Observed, now time.Time) *Move {
	if stable := o.stable(); stable != nil && !o.StableRecorded {
		return &Move{Write: &Write{RecordStable: stable}}
	}
	if move := clearOthers(o, now); move != nil {
		return move
	}
	if move := unpin(o); move != nil {
		return move
	}
	if o.UsesConfig && !o.Release.Settled {
		return settle(o, now)
	}
	return nil
}

// idle keeps no canary pods while there is nothing to do.
func idle(o Observed, r *Release) Move {
	if canary := o.canary(); canary != nil && r.Step > 0 {
		if move := resize(o, canary, 0); move != nil {
			return *move
		}
	}
	return Move{}
}

// settle waits until a ConfigMap that was applied after its Deployment is there too; the write makes
// admission read the config once more.
func settle(o Observed, now time.Time) *Move {
	if left := o.Release.Since.Add(o.SettleTime).Sub(now); left > 0 {
		return &Move{Wait: left}
	}
	next := o.Release.at(now)
	next.Settled = true
	return &Move{Write: &Write{SetRelease: next}}
}

func createCanary(o Observed) Move {
	return Move{Write: &Write{CreateCanary: &CanarySpec{
		Hash:            CanaryHash(o.Release),
		Replicas:        o.size(),
		MinReadySeconds: o.Deployment.MinReadySeconds,
		Marks:           o.marks(),
	}}}
}

// overdue tells whether the step's deadline is over.
func (r *Release) overdue(now time.Time) bool {
	return r.left(now) <= 0
}

// left is the time until the step's deadline.
func (r *Release) left(now time.Time) time.Duration {
	return r.Since.Add(time.Duration(r.Policy.Deadline)).Sub(now)
}

// await looks again at the deadline, and aborts once it is over.
func await(o Observed, canary *ReplicaSet, now time.Time) Move {
	r := o.Release
	if !r.overdue(now) {
		return Move{Wait: r.left(now)}
	}
	reason := fmt.Sprintf("%d of %d canary pods were available after %s", canary.AvailableReplicas, canary.Replicas, time.Duration(r.Policy.Deadline))
	next := r.to(Aborted, now, withTrouble(reason, o.Blocked+o.PodTrouble))
	return Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}

// wait holds a step whose pods are available until it is approved or its time is over.
func wait(o Observed, now time.Time) Move {
	r, canary := o.Release, o.canary()
	if canary == nil || o.Deployment.Replicas == 0 || canary.Replicas != o.size() || !canary.Settled() {
		reason := "the number of pods changed"
		if canary == nil || canary.AvailableReplicas < canary.Replicas {
			reason = "a canary pod is not available any more"
		}
		next := r.to(Progressing, now, reason)
		return Move{Write: &Write{SetRelease: next}, Event: unwell(next)}
	}
	if move := resize(o, canary, canary.Replicas); move != nil {
		return *move
	}
	step := r.Policy.step(r.Step)
	by := r.ApprovedBy(r.Step)
	if by == "" {
		if step.Wait == 0 {
			return Move{}
		}
		if left := r.Since.Add(step.Wait).Sub(now); left > 0 {
			return Move{Wait: left}
		}
		by = fmt.Sprintf("its duration of %s", step.Wait)
	}
	return goOn(o, canary, by, now)
}

// goOn starts the next step, or the promotion after the last one.
func goOn(o Observed, canary *ReplicaSet, by string, now time.Time) Move {
	r := o.Release
	if r.Step < len(r.Policy.steps()) {
		next := r.to(Progressing, now, "")
		next.Step++
		return Move{Write: &Write{SetRelease: next}, Event: passed(r, by)}
	}
	next := r.to(Promoting, now, "")
	next.Stage, next.Sequence, next.Surge = Adopting, SequenceM, canary.Replicas
	if !adoptable(o, canary) {
		next.Stage, next.Sequence, next.Surge = Finishing, SequenceC, 0
		next.Since = nil // seen next, with an Event of its own
	}
	return Move{Write: &Write{SetRelease: next}, Event: passed(r, by)}
}

// adoptable tells whether sequence M's preconditions hold: the canary is exactly what the Deployment
// asks for, all of it is available, and one other ReplicaSet runs. Of equal ReplicaSets the deployment
// controller takes the oldest as its new one, so there may be no other with the same template, not
// even an empty one from its history.
func adoptable(o Observed, canary *ReplicaSet) bool {
	d := o.Deployment
	active := 0
	for _, rs := range o.ReplicaSets {
		if rs.Owned && rs.UID != canary.UID && rs.Replicas > 0 {
			active++
		}
	}
	return d.RollingUpdate && d.Replicas > 0 && active == 1 && !o.hasOwn(canary) &&
		canary.TemplateHash == d.TemplateHash && canary.TemplateDigest == d.TemplateDigest &&
		canary.MinReadySeconds == d.MinReadySeconds && canary.Replicas > 0 && canary.Settled()
}
