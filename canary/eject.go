package canary

// How a release ends without sluice, by one write of `kubectl sluice eject`.

// EjectManager is the field manager of the write that ends a release without sluice. The webhooks' match
// conditions let it pass, for whoever has VerbBypass.
const EjectManager = "kubectl-sluice-eject"

// ClosedPartition keeps the new version of a StatefulSet away from all of its pods.
const ClosedPartition = closed

// Ending is how a release ends without sluice.
type Ending string

const (
	// EndPromoted: the new version stays in the spec and rolls out natively.
	EndPromoted Ending = "promote"
	// EndReverted: the stable version goes back into the spec.
	EndReverted Ending = "revert"
	// EndPaused: the new version stays in the spec, behind a native pause.
	EndPaused Ending = "leave-paused"
)

// Ending returns how the release ends as things stand, empty where nothing was decided and somebody has
// to say it. Hash is that of the template in the spec: where it got there past admission, it is another
// one than the decision was about.
func (r *Release) Ending(hash string) Ending {
	switch {
	case r.Phase == Promoting && hash == r.Canary.Hash:
		return EndPromoted
	case r.Phase == Reverting && r.stableAgain(hash) != nil:
		return EndReverted
	}
	return ""
}

// Known tells whether this version of sluice knows the release's phase.
func (r *Release) Known() bool { return r.Phase.known() }

// Without returns what a workload holds once its release has ended: nothing of sluice's, and the fields
// that the release had set as the user wants them. Template and digest are as they were.
func (r *Release) Without(w *Workload, ending Ending) *Want {
	want := Stateless()
	undo(want, r, w)
	if ending == EndPaused {
		yes, partition := true, closed
		want.Paused, want.Partition = &yes, &partition
	}
	return want
}

// Stateless wants nothing of sluice's on a workload but its policy.
func Stateless() *Want {
	want := native()
	for _, key := range drivers {
		want.Annotations[key] = nil
	}
	want.Annotations[ConfigSeenAnnotation] = nil
	return want
}
