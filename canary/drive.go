package canary

import (
	"strconv"
	"strings"
)

// drive decides on a write that leaves the template alone while a release exists: approval, abort,
// retry, the user's wishes, or nothing but our state to carry over. An annotation that means nothing
// here is taken back, so that the same value can be set again when it does.
func (c change) drive(w World) (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	if next.Step == 0 && !c.pausedByUser(next.Held) {
		next.Step, next.Since = 1, nil
	}
	if c.New.Replicas() != c.Old.Replicas() || next.Held.Partition != c.release.Held.Partition {
		next.Gate = nil // what is above the partition now would be pods of the new version
	}
	asked, stale := c.asked()
	d, err := c.follow(asked, next, w)
	if err != nil || d.Verdict == Denied {
		return d, err
	}
	for _, key := range stale {
		c.takeBack(key, d.Want)
		d.Warnings = append(d.Warnings, c.staleWarning(key, c.New.Metadata.Annotations[key]))
	}
	return d, nil
}

func (c change) follow(asked string, next *Release, w World) (Decision, error) {
	switch asked {
	case AbortAnnotation:
		return c.abort(next, w)
	case RetryAnnotation:
		return c.retry(next, w)
	case ApproveAnnotation:
		return c.approve(next, w)
	}
	d, err := c.carry(Carried, next)
	switch {
	case c.release.Phase == Aborted:
		d.Warnings = append(d.Warnings, c.abortedWarning())
	case c.unpauses(next):
		d.Warnings = append(d.Warnings, c.unpauseWarning())
	}
	return d, err
}

// unpauses: somebody other than `kubectl rollout resume` wants the held workload to go on.
func (c change) unpauses(next *Release) bool {
	if !c.release.Holds() || c.release.Step == 0 || !next.Holds() || c.release.Phase == Reverting {
		return false
	}
	if c.Kind == StatefulSet {
		return c.New.Spec.UpdateStrategy.Partition() < c.Old.Spec.UpdateStrategy.Partition()
	}
	return !c.New.Spec.Paused && c.Old.Spec.Paused
}

// asks tells whether the write sets an annotation that drives a release, to another value than before.
func (c change) asks(key string) bool {
	value := c.New.Metadata.Annotations[key]
	return value != "" && value != c.Old.Metadata.Annotations[key]
}

// asked returns the annotation that drives the release in this write, empty where none does, and
// those that were set to what means nothing here. `kubectl rollout resume` is an approval.
func (c change) asked() (asked string, stale []string) {
	for _, key := range drivers {
		switch means := c.means(key); {
		case key == ApproveAnnotation && asked == "" && c.resumes() && c.release.Step > 0:
			asked = key
		case !c.asks(key):
		case !means:
			stale = append(stale, key)
		case asked == "":
			asked = key
		}
	}
	return asked, stale
}

// means tells whether an annotation's value names this release, in a phase in which it can act.
func (c change) means(key string) bool {
	value, phase := c.New.Metadata.Annotations[key], c.release.Phase
	switch key {
	case AbortAnnotation:
		return value == c.release.Name() && phase != Aborted && phase != Reverting
	case RetryAnnotation:
		return value == c.release.Name() && phase == Aborted
	default:
		return value == c.release.ApproveValue() || value == c.release.ApproveFullValue()
	}
}

func (c change) retries() bool {
	return c.release != nil && c.asks(RetryAnnotation)
}

// driveVerbs returns the permissions that the write needs.
func (c change) driveVerbs() []string {
	if c.release == nil {
		return nil
	}
	switch asked, _ := c.asked(); asked {
	case AbortAnnotation:
		return []string{VerbAbort}
	case RetryAnnotation, ApproveAnnotation:
		return []string{VerbPromote}
	}
	return nil
}

// takeBack wants an annotation as it was.
func (c change) takeBack(key string, want *Want) {
	want.Annotations[key] = nil
	if old, ok := c.Old.Metadata.Annotations[key]; ok {
		want.Annotations[key] = &old
	}
}

// forgetDrivers takes off annotations that name a release which has only now begun or is still to come:
// generations start again with a recreated object, and so do their meanings. Those that name an earlier
// one mean nothing and stay, since they may come from Git.
func (c change) forgetDrivers(want *Want, next *Release) {
	for _, key := range drivers {
		id, _, _ := strings.Cut(c.New.Metadata.Annotations[key], "/")
		if named, err := strconv.ParseInt(id, 10, 64); err == nil && named >= next.ID {
			want.Annotations[key] = nil
		}
	}
}

func (c change) approve(next *Release, w World) (Decision, error) {
	if !w.Allowed[VerbPromote] {
		return deny(NotPermitted, c.notPermitted(VerbPromote, "approve a step")), nil
	}
	by := c.release.ApprovedBy(c.release.Step)
	switch {
	case by != "" || c.release.Phase == Promoting:
		d, err := c.carry(Carried, next)
		c.takeBack(ApproveAnnotation, d.Want)
		d.Warnings = append(d.Warnings, c.alreadyWarning(by))
		return d, err
	case c.release.Phase == Aborted:
		return deny(IsAborted, c.abortedMessage()), nil
	case c.release.Phase != Waiting:
		return deny(NotReady, c.notReadyMessage()), nil
	case c.release.Policy.FourEyes && c.User == c.release.Author:
		return deny(FourEyes, c.fourEyesMessage()), nil
	}
	given := Approval{Step: c.release.Step, By: c.User}
	value := c.release.ApproveValue()
	if c.asks(ApproveAnnotation) && c.New.Metadata.Annotations[ApproveAnnotation] == c.release.ApproveFullValue() {
		given.Full, value = true, c.release.ApproveFullValue()
	}
	next.Approvals = append(next.Approvals, given)
	d, err := c.carry(Approved, next)
	d.Want.Annotations[ApproveAnnotation] = &value
	d.Warnings = append(d.Warnings, c.approvedWarning(given))
	return d, err
}

func (c change) abort(next *Release, w World) (Decision, error) {
	if !w.Allowed[VerbAbort] {
		return deny(NotPermitted, c.notPermitted(VerbAbort, "abort a release")), nil
	}
	if !c.release.Holds() {
		return deny(TooLate, c.tooLateMessage()), nil
	}
	next.Phase, next.Stage, next.Sequence, next.Since, next.Gate = Aborted, "", "", nil, nil
	next.Reason = "aborted by " + c.User
	d, err := c.carry(AbortedBy, next)
	d.Warnings = append(d.Warnings, c.abortWarning())
	return d, err
}

// retry starts the aborted release again at step one, as a release of its own, so that the annotation
// means nothing a second time.
func (c change) retry(next *Release, w World) (Decision, error) {
	if !w.Allowed[VerbPromote] {
		return deny(NotPermitted, c.notPermitted(VerbPromote, "retry a release")), nil
	}
	s, err := c.settings(w)
	if err != nil {
		return deny(InvalidPolicy, c.refused("its policy is not valid", err.Error())), nil
	}
	next.ID, next.Phase, next.Step = c.nextID(), Progressing, 1
	next.Since, next.Reason, next.Told, next.Settled, next.Approvals, next.Gate, next.Traffic = nil, "", nil, false, nil, nil, nil
	next.Policy = s.Policy
	d, err := c.carry(Retried, next)
	c.forgetDrivers(d.Want, next)
	d.Warnings = append(d.Warnings, c.holdWarning(next))
	return d, err
}
