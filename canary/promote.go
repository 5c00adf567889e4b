package canary

import "time"

// promote makes the canary the stable version. Sequence M, still paused: admission has pinned maxSurge
// to the canary's size, so that the deployment controller resizes nothing (an adopted ReplicaSet
// otherwise makes it shrink the stable one without a look at readiness); the canary is adopted; once
// that is proved, one write unpauses and gives maxSurge back. Sequence C: unpaused at once, the canary
// stays as extra capacity until the native rollout is complete.
func promote(o Observed, now time.Time) Move {
	r := o.Release
	if r.Stage == Finishing {
		return finish(o, now)
	}
	if move := o.patient(o.steer(o.promoted(), now), now); move != nil {
		return *move
	}
	canary := o.canary()
	switch {
	case canary == nil:
		return letGo(o, SequenceC, now)
	case r.Sequence == SequenceC:
		return fallBack(o, canary, now)
	case !canary.Labelled:
		return adopt(o, canary, now)
	case adopted(o, canary) && (o.promoted() == nil || o.alone(canary)):
		return letGo(o, SequenceM, now)
	}
	return awaitAdoption(o, canary, now)
}

// letGo leaves the rollout to the native controller, once requests go to the Service itself: it takes pods of any
// version away.
func letGo(o Observed, sequence Sequence, now time.Time) Move {
	if move := o.patient(o.steer(nil, now), now); move != nil {
		return *move
	}
	next := o.Release.finishing(sequence, now)
	return Move{Write: &Write{SetRelease: next}, Event: promoting(next)}
}

// finishing returns the release with the native controller at work: admission unpauses.
func (r *Release) finishing(sequence Sequence, now time.Time) *Release {
	next := r.to(Promoting, now, r.Reason)
	next.Stage, next.Sequence, next.Surge = Finishing, sequence, 0
	return next
}

func adopt(o Observed, canary *ReplicaSet, now time.Time) Move {
	r, d := o.Release, o.Workload
	switch {
	case d.ObservedGeneration < d.Generation:
		return Move{} // the deployment controller does not know the pinned maxSurge yet; its status write wakes us
	case !canary.Settled():
		return await(o, deployment{o}, now)
	case now.Sub(*r.Since) > AdoptionTimeout/2:
		return Move{Write: &Write{SetRelease: r.at(now)}} // so that the adoption has its time whole
	case !adoptable(o, canary) || d.MaxSurge != canary.Replicas || r.Surge != canary.Replicas:
		return Move{Write: &Write{SetRelease: r.falling(now)}}
	}
	return Move{Write: &Write{Adopt: &Adoption{
		ReplicaSet:      *canary,
		DesiredReplicas: d.Replicas,
		MaxReplicas:     d.Replicas + d.MaxSurge,
		Marks:           o.marks(),
	}}}
}

// adopted is the proof that the Deployment took the canary as its new ReplicaSet, and that it is whole.
func adopted(o Observed, canary *ReplicaSet) bool {
	d := o.Workload
	return canary.Owned && canary.Revision != "" && canary.Revision == d.Revision && canary.Settled() &&
		d.ObservedGeneration >= d.Generation && d.UpdatedReplicas == canary.Replicas
}

func awaitAdoption(o Observed, canary *ReplicaSet, now time.Time) Move {
	r := o.Release
	if left := r.Since.Add(AdoptionTimeout).Sub(now); left > 0 {
		if adopted(o, canary) { // not alone yet
			left = min(left, lookAtEndpoints)
		}
		return Move{Wait: left}
	}
	if !canary.Settled() {
		next := r.to(Aborted, now, withTrouble("the canary's pods became unavailable while it was promoted", o.PodTrouble))
		return Move{Write: &Write{SetRelease: next}, Event: seen(next)}
	}
	return Move{Write: &Write{SetRelease: r.falling(now)}}
}

// falling returns the release on its way back from adoption to sequence C.
func (r *Release) falling(now time.Time) *Release {
	next := r.at(now)
	next.Sequence = SequenceC
	return next
}

// fallBack takes the canary back from the Deployment, then leaves the rollout to it.
func fallBack(o Observed, canary *ReplicaSet, now time.Time) Move {
	if move := takeBack(canary); move != nil {
		return *move
	}
	return letGo(o, SequenceC, now)
}

// finish waits for the native rollout, then clears away what the release made and ends it.
func finish(o Observed, now time.Time) Move {
	if move := o.patient(o.steer(nil, now), now); move != nil {
		return *move
	}
	if !o.Workload.Complete() {
		return Move{}
	}
	if move := cleanUp(o); move != nil {
		return *move
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(o.Release)}
}

// cleanUp leaves the Deployment's own ReplicaSets without marks and deletes the others, then the record
// of the stable template.
func cleanUp(o Observed) *Move {
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		switch {
		case rs.ReleaseID == 0:
		case rs.Owned:
			return &Move{Write: &Write{Unmark: rs}}
		default:
			return &Move{Write: &Write{DeleteReplicaSet: rs}}
		}
	}
	if o.Recorded {
		return &Move{Write: &Write{ForgetStable: true}}
	}
	return nil
}
