package canary

import "strconv"

// canary returns the release's own ReplicaSet, nil where it does not exist.
func (o Observed) canary() *ReplicaSet {
	for i := range o.ReplicaSets {
		if o.ReplicaSets[i].ReleaseID == o.Release.ID {
			return &o.ReplicaSets[i]
		}
	}
	return nil
}

// stable returns the Deployment's ReplicaSet with the stable template, nil where it does not exist.
func (o Observed) stable() *ReplicaSet {
	var found *ReplicaSet
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		if !rs.Owned || !o.isStable(rs) {
			continue
		}
		if found == nil || rs.Replicas > found.Replicas {
			found = rs
		}
	}
	return found
}

func (o Observed) isStable(rs *ReplicaSet) bool {
	return rs.TemplateHash == o.Release.Stable.Hash && rs.TemplateDigest == o.Release.Stable.Digest
}

// hasOwn tells whether the Deployment has a ReplicaSet of its current template beside the canary.
func (o Observed) hasOwn(canary *ReplicaSet) bool {
	for _, rs := range o.ReplicaSets {
		if rs.Owned && (canary == nil || rs.UID != canary.UID) &&
			rs.TemplateHash == o.Workload.TemplateHash && rs.TemplateDigest == o.Workload.TemplateDigest {
			return true
		}
	}
	return false
}

// adopting tells whether a canary is the Deployment's own or about to be: it is taken back first.
func (o Observed) adopting() bool {
	for i := range o.ReplicaSets {
		rs := &o.ReplicaSets[i]
		if rs.ReleaseID != 0 && (rs.Owned || rs.Labelled) && !o.isStable(rs) {
			return true
		}
	}
	return false
}

// owned counts the pods of the Deployment's own ReplicaSets, and the available ones among them.
func (o Observed) owned() (all, available int32) {
	for _, rs := range o.ReplicaSets {
		if rs.Owned {
			all, available = all+rs.Replicas, available+rs.AvailableReplicas
		}
	}
	return all, available
}

// size is how many canary pods the current step has.
func (o Observed) size() int32 {
	return o.Release.Policy.step(o.Release.Step).size(o.Kind, o.Workload.Replicas, o.Release.Held)
}

// marks shows the release's state on its canary ReplicaSet. An aborted canary has no weight.
func (o Observed) marks() Marks {
	r := o.Release
	weight := r.Policy.step(r.Step).Weight
	if r.Phase == Aborted || r.Phase == Reverting {
		weight = 0
	}
	return Marks{Phase: r.Phase, Step: strconv.Itoa(r.Step), Weight: strconv.Itoa(int(weight))}
}

// resize brings pods, minReadySeconds and marks of a canary ReplicaSet to what they should be, nil
// where they are. The marks of an earlier release's canary say that it was superseded.
func resize(o Observed, rs *ReplicaSet, replicas int32) *Move {
	marks := o.marks()
	if rs.ReleaseID != o.Release.ID {
		marks = rs.Marks
	}
	if rs.Replicas == replicas && rs.Marks == marks && rs.MinReadySeconds == o.Workload.MinReadySeconds {
		return nil
	}
	return &Move{Write: &Write{UpdateReplicaSet: &ReplicaSetUpdate{
		ReplicaSet: *rs, Replicas: replicas, MinReadySeconds: o.Workload.MinReadySeconds, Marks: marks,
	}}}
}

func withTrouble(reason, trouble string) string {
	if trouble == "" {
		return reason
	}
	return reason + ": " + trouble
}
