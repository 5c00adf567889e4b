package canary

import "time"

// abort takes the canary's pods away and keeps it, empty, as evidence; the user's template stays in the
// spec, held.
func abort(o Observed, now time.Time) Move {
	if move := clearOthers(o, now); move != nil {
		return *move
	}
	if canary := o.canary(); canary != nil {
		if move := drain(o, canary, now); move != nil {
			return *move
		}
	}
	if move := unpin(o); move != nil {
		return *move
	}
	return o.rest(now)
}

// revert ends a release whose stable template is back in the spec.
func revert(o Observed, now time.Time) Move {
	if !o.Release.Holds() {
		if move := deleteUnowned(o, now); move != nil {
			return *move
		}
		return finish(o, now)
	}
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		switch {
		case rs.ReleaseID == 0:
			continue
		case rs.Owned && o.isStable(rs): // it was promoted before it was superseded
			return Move{Write: &Write{Unmark: rs}}
		}
		if move := drain(o, rs, now); move != nil {
			return *move
		}
		return Move{Write: &Write{DeleteReplicaSet: rs}}
	}
	if move := o.giveBack(now); move != nil {
		return *move
	}
	if o.Recorded {
		return Move{Write: &Write{ForgetStable: true}}
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(o.Release)}
}

// deleteUnowned takes away what stood beside the native rollout of a version that is rolled back.
func deleteUnowned(o Observed, now time.Time) *Move {
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		if rs.ReleaseID == 0 || rs.Owned || rs.Labelled {
			continue
		}
		if move := drain(o, rs, now); move != nil {
			return move
		}
		return &Move{Write: &Write{DeleteReplicaSet: rs}}
	}
	return nil
}

// clearOthers takes away the canaries of earlier releases.
func clearOthers(o Observed, now time.Time) *Move {
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		switch {
		case rs.ReleaseID == 0 || rs.ReleaseID == o.Release.ID:
			continue
		case rs.Owned && o.isStable(rs): // it was promoted before it was superseded
			return &Move{Write: &Write{Unmark: rs}}
		}
		if move := drain(o, rs, now); move != nil {
			return move
		}
		return &Move{Write: &Write{DeleteReplicaSet: rs}}
	}
	return nil
}

// unpin lets go of maxSurge, once nothing is left that could be adopted. By a smaller one the paused deployment
// controller takes away what is more than N, whether it is available or not: where that could be too much, it stays.
func unpin(o Observed) *Move {
	all, available := o.owned()
	if o.Release.Surge == 0 || (all > o.Workload.Replicas && all-available > o.Workload.MaxUnavailable) {
		return nil
	}
	next := o.Release.clone()
	next.Surge = 0
	return &Move{Write: &Write{SetRelease: next}}
}

// drain takes a canary ReplicaSet down to no pods. One that was adopted may have replaced stable pods: it
// is taken back from the Deployment first, and keeps serving until those are back, at most for the
// step's deadline.
func drain(o Observed, rs *ReplicaSet, now time.Time) *Move {
	if move := takeBack(rs); move != nil {
		return move
	}
	if rs.Marks.Phase == Promoting && rs.AvailableReplicas > 0 && !o.whole() && !o.Release.overdue(now) {
		return &Move{Wait: o.Release.left(now)}
	}
	if rs.Replicas > 0 {
		if move := o.withdraw(now); move != nil {
			return move
		}
	}
	if move := resize(o, rs, 0); move != nil {
		return move
	}
	if rs.StatusReplicas > 0 || rs.ObservedGeneration < rs.Generation {
		return &Move{}
	}
	return nil
}

// takeBack makes the Deployment release a ReplicaSet, and keeps it in the reach of garbage collection.
func takeBack(rs *ReplicaSet) *Move {
	switch {
	case rs.Labelled:
		return &Move{Write: &Write{Disown: rs}}
	case rs.Owned:
		return &Move{} // the deployment controller releases it; that wakes us
	case !rs.Referenced:
		return &Move{Write: &Write{Reference: rs}}
	}
	return nil
}

// restoreStable brings the stable version back where it went while it was held: its ReplicaSet was
// deleted, or N was 0 for a while, or a canary of full size was adopted and taken back: the deployment
// controller then wakes the newest ReplicaSet instead. Whatever serves meanwhile stays until the stable
// pods are whole; maxSurge is pinned to N so that the paused deployment controller leaves both alone.
func restoreStable(o Observed, now time.Time) *Move {
	if !o.mayRestore() {
		return nil
	}
	r, d, stable := o.Release, o.Workload, o.stable()
	switch {
	case !r.Restoring && stable != nil && stable.Replicas > 0:
		return nil
	case !r.Restoring:
		return startRestoring(o, now)
	case d.ObservedGeneration < d.Generation:
		return &Move{} // the deployment controller does not know the pinned maxSurge yet
	case stable == nil:
		return &Move{Write: &Write{RestoreStable: &d.Replicas}}
	case stable.Replicas < d.Replicas:
		return scale(stable, d.Replicas)
	case stable.AvailableReplicas < d.Replicas-d.MaxUnavailable && r.overdue(now):
		return endRestoring(o) // it cannot come back: what serves stays, and the release may go on or end
	case stable.AvailableReplicas < d.Replicas-d.MaxUnavailable:
		return &Move{Wait: r.left(now)}
	}
	for i := range o.ReplicaSets {
		if rs := &o.ReplicaSets[i]; rs.Owned && rs.UID != stable.UID && rs.Replicas > 0 {
			return scale(rs, 0)
		}
	}
	return endRestoring(o)
}

// mayRestore: not while a canary is adopted or taken back, and not where the Deployment has a ReplicaSet
// of the held template from before, which the deployment controller prefers.
func (o Observed) mayRestore() bool {
	return o.Release.Holds() && o.Release.Stage != Adopting && o.Workload.Replicas > 0 && o.StableRecorded &&
		!o.adopting() && !o.hasOwn(o.canary())
}

func startRestoring(o Observed, now time.Time) *Move {
	next := o.Release.at(now)
	next.Restoring, next.Surge = true, max(next.Surge, o.Workload.Replicas)
	return &Move{Write: &Write{SetRelease: next}, Event: restored(next)}
}

// endRestoring leaves a pinned maxSurge to the phases that take a canary away.
func endRestoring(o Observed) *Move {
	next := o.Release.clone()
	next.Restoring = false
	if next.Phase == Waiting {
		next.Surge = 0
	}
	return &Move{Write: &Write{SetRelease: next}}
}

// scale changes the number of pods of a ReplicaSet that is the Deployment's own.
func scale(rs *ReplicaSet, replicas int32) *Move {
	return &Move{Write: &Write{UpdateReplicaSet: &ReplicaSetUpdate{ReplicaSet: *rs, Replicas: replicas, MinReadySeconds: rs.MinReadySeconds, Marks: rs.Marks}}}
}
