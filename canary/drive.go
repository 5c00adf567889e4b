package canary

// drive decides on a write that leaves the template alone while a release exists: approval, abort,
// retry, the user's wishes, or nothing but our state to carry over.
func (c change) drive(w World) (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	if next.Step == 0 && !next.Held.Paused {
		next.Step, next.Since = 1, nil
	}
	switch {
	case c.asks(AbortAnnotation):
		return c.abort(next, w)
	case c.asks(RetryAnnotation):
		return c.retry(next, w)
	case c.approves():
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
	return c.release.Holds() && c.release.Step > 0 && next.Holds() && !c.New.Spec.Paused && c.Old.Spec.Paused
}

// asks tells whether the write sets an annotation that drives a release, to another value than before.
func (c change) asks(key string) bool {
	value := c.New.Metadata.Annotations[key]
	return value != "" && value != c.Old.Metadata.Annotations[key]
}

func (c change) approves() bool {
	return c.asks(ApproveAnnotation) || (c.resumes() && c.release.Step > 0)
}

func (c change) retries() bool {
	return c.release != nil && c.asks(RetryAnnotation)
}

// driveVerbs returns the permissions that the write needs.
func (c change) driveVerbs() []string {
	if c.release == nil {
		return nil
	}
	switch {
	case c.asks(AbortAnnotation):
		return []string{VerbAbort}
	case c.asks(RetryAnnotation), c.approves():
		return []string{VerbPromote}
	}
	return nil
}

// without carries the state over and takes back an annotation that means nothing here, so that the
// same value can be set again when it does.
func (c change) without(key, warning string, next *Release) (Decision, error) {
	d, err := c.carry(Carried, next)
	d.Want.Annotations[key] = nil
	if old, ok := c.Old.Metadata.Annotations[key]; ok {
		d.Want.Annotations[key] = &old
	}
	d.Warnings = append(d.Warnings, warning)
	return d, err
}

func (c change) approve(next *Release, w World) (Decision, error) {
	value := c.release.ApproveValue()
	if asked := c.New.Metadata.Annotations[ApproveAnnotation]; c.asks(ApproveAnnotation) && asked != value {
		return c.without(ApproveAnnotation, c.staleWarning(ApproveAnnotation, asked), next)
	}
	if !w.Allowed[VerbPromote] {
		return deny(c.notPermitted(VerbPromote, "approve a step")), nil
	}
	by := c.release.ApprovedBy(c.release.Step)
	switch {
	case by != "" || c.release.Phase == Promoting:
		return c.without(ApproveAnnotation, c.alreadyWarning(by), next)
	case c.release.Phase == Aborted:
		return deny(c.abortedMessage()), nil
	case c.release.Phase != Waiting:
		return deny(c.notReadyMessage()), nil
	case c.release.Policy.FourEyes && c.User == c.release.Author:
		return deny(c.fourEyesMessage()), nil
	}
	next.Approvals = append(next.Approvals, Approval{Step: c.release.Step, By: c.User})
	d, err := c.carry(Approved, next)
	d.Want.Annotations[ApproveAnnotation] = &value
	d.Warnings = append(d.Warnings, c.approvedWarning())
	return d, err
}

func (c change) abort(next *Release, w World) (Decision, error) {
	asked := c.New.Metadata.Annotations[AbortAnnotation]
	if asked != c.release.Name() || c.release.Phase == Aborted || c.release.Phase == Reverting {
		return c.without(AbortAnnotation, c.staleWarning(AbortAnnotation, asked), next)
	}
	if !w.Allowed[VerbAbort] {
		return deny(c.notPermitted(VerbAbort, "abort a release")), nil
	}
	if !c.release.Holds() {
		return deny(c.tooLateMessage()), nil
	}
	next.Phase, next.Stage, next.Sequence, next.Since = Aborted, "", "", nil
	next.Reason = "aborted by " + c.User
	d, err := c.carry(AbortedBy, next)
	d.Warnings = append(d.Warnings, c.abortWarning())
	return d, err
}

// retry starts the aborted release again at step one, as a release of its own, so that the annotation
// means nothing a second time.
func (c change) retry(next *Release, w World) (Decision, error) {
	asked := c.New.Metadata.Annotations[RetryAnnotation]
	if asked != c.release.Name() || c.release.Phase != Aborted {
		return c.without(RetryAnnotation, c.staleWarning(RetryAnnotation, asked), next)
	}
	if !w.Allowed[VerbPromote] {
		return deny(c.notPermitted(VerbPromote, "retry a release")), nil
	}
	s, err := c.settings(w)
	if err != nil {
		return deny(c.refused("its policy is not valid", err.Error())), nil
	}
	next.ID, next.Phase, next.Step = c.Old.Metadata.Generation+1, Progressing, 1
	next.Since, next.Reason, next.Settled, next.Approvals = nil, "", false, nil
	next.Policy = s.Policy
	d, err := c.carry(Retried, next)
	d.Warnings = append(d.Warnings, c.holdWarning(next))
	return d, err
}
