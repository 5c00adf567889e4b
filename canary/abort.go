package canary

// abort takes the canary's pods away and keeps it, empty, as evidence; the user's template stays in the
// spec, held.
func abort(o Observed) Move {
	if move := clearOthers(o); move != nil {
		return *move
	}
	if canary := o.canary(); canary != nil {
		if move := drain(o, canary); move != nil {
			return *move
		}
	}
	if move := unpin(o); move != nil {
		return *move
	}
	return Move{}
}

// revert ends a release whose stable template is back in the spec.
func revert(o Observed) Move {
	if !o.Release.Holds() {
		return finish(o)
	}
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		if rs.ReleaseID == 0 {
			continue
		}
		if move := drain(o, rs); move != nil {
			return *move
		}
		return Move{Write: &Write{DeleteReplicaSet: rs}}
	}
	if o.Recorded {
		return Move{Write: &Write{ForgetStable: true}}
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(o.Release)}
}

// clearOthers takes away the canaries of earlier releases.
func clearOthers(o Observed) *Move {
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		switch {
		case rs.ReleaseID == 0 || rs.ReleaseID == o.Release.ID:
			continue
		case rs.Owned && o.isStable(rs): // it was promoted before it was superseded
			return &Move{Write: &Write{Unmark: rs}}
		}
		if move := drain(o, rs); move != nil {
			return move
		}
		return &Move{Write: &Write{DeleteReplicaSet: rs}}
	}
	return nil
}

// unpin lets go of maxSurge, once nothing is left that could be adopted.
func unpin(o Observed) *Move {
	if o.Release.Surge == 0 {
		return nil
	}
	next := o.Release.clone()
	next.Surge = 0
	return &Move{Write: &Write{SetRelease: next}}
}

// drain takes a canary ReplicaSet down to no pods: it is taken back from the Deployment first, and
// keeps its pods until the stable ones that an adoption may have replaced are back.
func drain(o Observed, rs *ReplicaSet) *Move {
	if move := takeBack(rs); move != nil {
		return move
	}
	if o.Release.Surge > 0 && rs.AvailableReplicas > 0 && o.ownedAvailable() < o.Deployment.Replicas-o.Deployment.MaxUnavailable {
		return &Move{}
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
// deleted, or N was 0 for a while and the deployment controller then woke the newest ReplicaSet
// instead. No canary is made meanwhile.
func restoreStable(o Observed) *Move {
	r, d := o.Release, o.Deployment
	if !r.Holds() || r.Stage == Adopting || r.Surge > 0 || d.Replicas == 0 || !o.StableRecorded {
		return nil
	}
	if o.hasOwn(o.canary()) {
		return nil // it runs the template that is held, approved before: the deployment controller may prefer it
	}
	stable := o.stable()
	switch {
	case !r.Restoring && stable != nil && stable.Replicas > 0:
		return nil
	case !r.Restoring:
		return setRestoring(o, true)
	case stable == nil:
		return &Move{Write: &Write{RestoreStable: &d.Replicas}}
	case stable.Replicas == 0:
		return scale(stable, d.Replicas)
	case stable.AvailableReplicas == 0:
		return &Move{} // the others serve meanwhile; the stable pods' progress wakes us
	}
	for i := range o.ReplicaSets {
		if rs := &o.ReplicaSets[i]; rs.Owned && rs.UID != stable.UID && rs.Replicas > 0 {
			return scale(rs, 0)
		}
	}
	return setRestoring(o, false)
}

func setRestoring(o Observed, restoring bool) *Move {
	next := o.Release.clone()
	next.Restoring = restoring
	move := &Move{Write: &Write{SetRelease: next}}
	if restoring {
		move.Event = restored(next)
	}
	return move
}

// scale changes the number of pods of a ReplicaSet that is the Deployment's own.
func scale(rs *ReplicaSet, replicas int32) *Move {
	return &Move{Write: &Write{UpdateReplicaSet: &ReplicaSetUpdate{ReplicaSet: *rs, Replicas: replicas, MinReadySeconds: rs.MinReadySeconds, Marks: rs.Marks}}}
}
