package canary

import "time"

// slipped repairs what got past admission while its webhook was not registered: a hold that was
// lifted, or a template that nobody held. Each is written once, so that sluice does not fight where its
// webhook still is away.
func slipped(o Observed, m mechanics, now time.Time) *Move {
	r, d := o.Release, o.Workload
	if !r.Holds() {
		return nil
	}
	if !r.hasLeft(d.TemplateHash) {
		return otherTemplate(o, now)
	}
	if m.lifted() == r.Lifted {
		return nil
	}
	next := r.clone()
	next.Lifted = m.lifted()
	move := &Move{Write: &Write{SetRelease: next}} // admission holds it again in this write
	if next.Lifted {
		move.Event = lifted(next)
	}
	return move
}

// hasLeft tells whether a template in the spec is one that admission left there.
func (r *Release) hasLeft(hash string) bool {
	if r.Phase == Reverting {
		return r.stableAgain(hash) != nil
	}
	return hash == r.Canary.Hash
}

// otherTemplate holds the template that is in the spec as a release of its own, or reverts where it is
// the stable one.
func otherTemplate(o Observed, now time.Time) *Move {
	r, d := o.Release, o.Workload
	next := r.to(Reverting, now, "the stable version was applied while sluice's webhook was away")
	next.Stage = next.revertStage(o.Kind)
	if r.stableAgain(d.TemplateHash) == nil {
		next = r.to(Progressing, now, "this version was applied while sluice's webhook was away")
		next.ID, next.Step = r.nextID(d.Generation), 1
		next.Canary = Revision{Hash: d.TemplateHash, Digest: d.TemplateDigest}
		next.Author, next.Cause, next.Approvals, next.Settled, next.Traffic = "", "", nil, false, nil
	}
	next.Sequence = ""
	return &Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}
