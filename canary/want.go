package canary

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// What the object holds after a decision: the state, and the spec fields that follow from it.

// advance accepts sluice's own transition and derives the spec from it. The resourceVersion that each
// of its writes carries makes sure that it was decided on this very object.
func (c change) advance(w World) (Decision, error) {
	next, err := DecodeRelease(c.New.Metadata.Annotations)
	if err != nil {
		return deny(Bug, c.refused("sluice wrote a state that cannot be read", err.Error())), nil
	}
	if !c.sameTemplate || (c.release == nil && next != nil) {
		return deny(Bug, c.refused("sluice's controllers neither change templates nor start releases", "this is a bug")), nil
	}
	if c.release == nil || next == nil {
		return c.carry(Advanced, nil)
	}
	if next.Surge > 0 && c.release.Surge == 0 {
		next.Held.MaxSurge = c.Old.Spec.Strategy.MaxSurge()
	}
	d, err := c.carry(Advanced, next)
	if hash, _ := c.Old.templateHash(); next.Phase == Reverting && c.release.Phase != Reverting && next.stableAgain(hash) != nil {
		d.Want.Digest = &next.stableAgain(hash).Digest // applied past admission, which would have set it
	}
	if c.settles() {
		next.Canary.Digest = c.release.Policy.digest(w)
		if next.Canary == next.Stable {
			next.revertTo(c.Kind, "the config is what it was before")
		}
		d.Want = withDigest(c.with(Advanced, next).Want, next.Canary.Digest)
		if next.Phase == Reverting {
			c.baseline(d.Want, next.Stable)
		}
	}
	return d, err
}

// carry keeps the template's digest and sets the state; nil: there is no release afterwards.
func (c change) carry(verdict Verdict, next *Release) (Decision, error) {
	d := c.with(verdict, next)
	if bytes.Equal(c.Old.Spec.Template, c.New.Spec.Template) {
		return d, nil
	}
	digest, err := TemplateDigest(c.Old.Spec.Template)
	d.Want.Digest = &digest
	return d, err
}

// with sets the state and the spec fields that follow from it.
func (c change) with(verdict Verdict, next *Release) Decision {
	want := stateless()
	if next != nil {
		if next.Surge == 0 {
			next.Held.MaxSurge = nil
		}
		value, active := next.Encode(), "true"
		want.Annotations[ReleaseAnnotation] = &value
		want.Labels[ActiveLabel] = &active
	}
	want.Labels[PhaseLabel] = c.phaseLabel(next)
	if c.Kind == StatefulSet {
		want.Partition = c.partition(next)
	} else {
		want.Paused = c.paused(next)
		want.MaxSurge = c.maxSurge(next)
	}
	return Decision{Verdict: verdict, Want: want}
}

// phaseLabel returns the value of PhaseLabel after the request, nil: absent.
func (c change) phaseLabel(next *Release) *string {
	if next == nil && c.release == nil {
		before, ok := c.Old.Metadata.Labels[PhaseLabel]
		if !ok || c.New.Metadata.Labels[EnabledLabel] == "false" { // nobody will keep it up to date
			return nil
		}
		return &before
	}
	if next == nil {
		ending := c.release.ending()
		return &ending
	}
	phase := string(next.Phase)
	return &phase
}

// paused returns the value of spec.paused after the request, nil where it is the user's.
func (c change) paused(next *Release) *bool {
	yes, no := true, false
	switch first := c.firstInvocation(); {
	case next.Holds():
		return &yes
	case first.Holds() && (c.release == nil || !c.release.Holds()):
		return &first.Held.Paused // held in the first invocation; another webhook undid the reason since
	case next != nil && (c.release.Holds() || c.release.ID != next.ID):
		return &no
	case next == nil && c.release.Holds():
		return &c.release.Held.Paused
	case next == nil && c.release != nil && c.release.Held.Paused:
		return &yes
	}
	return nil
}

// partition returns the partition after the request, nil where it is the user's.
func (c change) partition(next *Release) *int32 {
	switch first := c.firstInvocation(); {
	case c.New.Spec.UpdateStrategy.Type != rollingUpdate:
		return nil // it was changed together with a way back to the stable version
	case next.Holds():
		asserted := next.partition()
		return &asserted
	case first.Holds() && (c.release == nil || !c.release.Holds()):
		return &first.Held.Partition
	case next != nil:
		return &next.Held.Partition
	case c.release.Holds():
		return &c.release.Held.Partition
	}
	return nil
}

// maxSurge returns the raw value of maxSurge after the request, nil where it is the user's.
func (c change) maxSurge(next *Release) json.RawMessage {
	switch {
	case c.New.Spec.Strategy.RollingUpdate == nil:
		return nil
	case next != nil && next.Surge > 0:
		return json.RawMessage(strconv.Itoa(int(next.Surge)))
	case c.release != nil && c.release.Surge > 0 && c.Sluice:
		return c.release.Held.MaxSurge
	case c.release != nil && c.release.Surge > 0:
		return c.wishes().MaxSurge
	}
	return nil
}

// native wants no state, and nothing that tells of the release before.
func native() *Want {
	want := stateless()
	want.Labels[PhaseLabel] = nil
	return want
}

func stateless() *Want {
	return &Want{
		Annotations: map[string]*string{ReleaseAnnotation: nil},
		Labels:      map[string]*string{ActiveLabel: nil},
	}
}

func withDigest(want *Want, digest string) *Want {
	want.Digest = &digest
	return want
}
