package canary

// Where requests go in each phase; "Requests" in the package's comment is the table of it. nil is the Services
// themselves, and so the pods of both versions by their number.

// share is the current step's; nil where the release does not divide requests.
func (o Observed) share() *Share {
	r := o.Release
	if r.Step == 0 || o.size() == 0 || !o.divides() {
		return nil
	}
	return &Share{Weight: r.Policy.step(r.Step).Weight, Match: r.Policy.Match}
}

// beside is the share while pods of the current step are made: what the canary has, unless that is more than the
// step's, or there is nobody to answer.
func (o Observed) beside() *Share {
	step, has := o.share(), o.Traffic.least()
	switch {
	case step == nil:
		return nil
	case has == nil || o.Traffic.Astray || has.Weight > step.Weight || o.canaryAvailable() == 0:
		return stableAlone
	}
	return has
}

// promotion is the share of a canary that is about to become the stable version: requests go to the Service itself,
// and so to the pods of both by their number. A canary of full size that gets them all keeps them: adopted, it is
// alone before the workload is let go.
func (o Observed) promotion() *Share {
	share, canary := o.share(), o.canary()
	if share != nil && share.Weight == 100 && canary != nil && canary.Replicas == o.Workload.Replicas && adoptable(o, canary) {
		return share
	}
	return nil
}

// promoted is the promotion's share as it is in force, as long as the canary is of full size: N may grow.
func (o Observed) promoted() *Share {
	has, canary := o.Traffic.least(), o.canary()
	if has != nil && has.Weight == 100 && !o.Traffic.Astray && canary != nil && canary.Replicas >= o.Workload.Replicas {
		return has
	}
	return nil
}

// away is where requests go that leave a canary.
func (o Observed) away() *Share {
	if o.Kind == StatefulSet && o.Workload.Current == o.Release.Canary {
		return nil // Kubernetes makes pods of the canary's version where the stable one's are missing
	}
	if o.Release.Holds() && o.canBeAlone() && (o.divides() || !o.Traffic.Missing) {
		return stableAlone
	}
	return nil
}

// divides: the canary may have a share of the requests.
func (o Observed) divides() bool {
	return o.canBeAlone() && !o.Release.Policy.Divides().None && o.Traffic.Blocked == ""
}

// canBeAlone: the stable version's own Service selects all that serve beside the canary. Of three versions two are
// stable ones, and no Service selects both.
func (o Observed) canBeAlone() bool { return o.Release.Former == nil && !o.mixed() }

// mixed: pods of another version than the stable one serve with it: a promotion was superseded, or a StatefulSet has a
// partition of the user's own and makes pods of another version below it.
func (o Observed) mixed() bool {
	for _, pod := range o.Pods {
		if pod.Template == o.Release.Stable && pod.Template != o.Workload.Current && pod.Template != o.Release.Canary {
			return true
		}
	}
	for i := range o.ReplicaSets {
		if rs := &o.ReplicaSets[i]; rs.Owned && rs.ReleaseID != o.Release.ID && !o.isStable(rs) && rs.Replicas > 0 {
			return true
		}
	}
	return false
}
