package canary

import "time"

// deployment runs the canary in a ReplicaSet of its own beside the Deployment, which is paused.
type deployment struct{ Observed }

func (d deployment) lifted() bool { return !d.Workload.Paused }

func (d deployment) restore(now time.Time) *Move {
	if d.Release.Restoring && d.Traffic.StableEndpoints == 0 && d.promoted() == nil {
		if move := d.giveBack(now); move != nil {
			return move // whatever serves is to get what comes
		}
	}
	return restoreStable(d.Observed, now)
}

func (d deployment) promote(now time.Time) Move { return promote(d.Observed, now) }

func (d deployment) abort(now time.Time) Move { return abort(d.Observed, now) }

func (d deployment) revert(now time.Time) Move { return revert(d.Observed, now) }

// clear records the stable template and takes earlier canaries away.
func (d deployment) clear(now time.Time) *Move {
	if stable := d.stable(); stable != nil && !d.StableRecorded {
		return &Move{Write: &Write{RecordStable: stable}}
	}
	if move := clearOthers(d.Observed, now); move != nil {
		return move
	}
	return unpin(d.Observed)
}

// idle keeps no canary pods.
func (d deployment) idle(now time.Time) *Move {
	canary := d.canary()
	if canary == nil || d.Release.Step == 0 {
		return nil
	}
	if canary.Replicas > 0 {
		if move := d.withdraw(now); move != nil {
			return move
		}
	}
	return resize(d.Observed, canary, 0)
}

func (d deployment) asked() bool {
	canary := d.canary()
	return canary != nil && canary.Replicas == d.size()
}

func (d deployment) scale(time.Time) *Move {
	switch canary := d.canary(); {
	case canary == nil && d.Blocked == "":
		return createCanary(d.Observed)
	case canary == nil:
		return nil
	case canary.Labelled || canary.Owned:
		return takeBack(canary)
	default:
		return resize(d.Observed, canary, d.size())
	}
}

func (d deployment) settled() bool {
	canary := d.canary()
	return canary != nil && canary.Replicas == d.size() && canary.Settled()
}

func (d deployment) pods() (available, all int32) {
	canary := d.canary()
	if canary == nil {
		return 0, d.size()
	}
	return canary.AvailableReplicas, canary.Replicas
}

func (d deployment) beginPromotion(next *Release) {
	canary := d.canary()
	next.Stage, next.Sequence, next.Surge = Adopting, SequenceM, canary.Replicas
	if !adoptable(d.Observed, canary) {
		next.Stage, next.Sequence, next.Surge = Finishing, SequenceC, 0
		next.Since = nil // seen next, with an Event of its own
	}
}

func createCanary(o Observed) *Move {
	return &Move{Write: &Write{CreateCanary: &CanarySpec{
		Hash:            CanaryHash(o.Release),
		Replicas:        o.size(),
		MinReadySeconds: o.Workload.MinReadySeconds,
		Marks:           o.marks(),
	}}}
}

// adoptable tells whether sequence M's preconditions hold: the canary is exactly what the Deployment
// asks for, all of it is available, and one other ReplicaSet runs. Of equal ReplicaSets the deployment
// controller takes the oldest as its new one, so there may be no other with the same template, not
// even an empty one from its history.
func adoptable(o Observed, canary *ReplicaSet) bool {
	d := o.Workload
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
