package canary

// What a new template does.

// start decides on a new template where there is no release: held, or native by the old object.
func (c change) start(w World) (Decision, error) {
	s, err := c.settings(w)
	if err != nil {
		return deny(InvalidPolicy, c.refused("its policy is not valid", err.Error())), nil
	}
	digest := s.digest(w)
	if reason := c.native(s, w); reason != "" {
		return Decision{
			Verdict:  Native,
			Reason:   reason,
			Warnings: append(overriddenWarning(s), c.nativeWarning(reason)),
			Want:     withDigest(native(), digest),
		}, nil
	}
	switch {
	case c.Kind != StatefulSet:
	case c.New.Spec.UpdateStrategy.Type != rollingUpdate: // it has no partition to be held by
		return deny(StrategyChange, c.twoStepsMessage("the update strategy")), nil
	case c.New.Replicas() == 0: // without pods, Kubernetes forgets the stable version
		return deny(ScaleToZero, c.twoStepsMessage("the number of replicas")), nil
	}
	old, err := TemplateDigest(c.Old.Spec.Template)
	if err != nil {
		return Decision{}, err
	}
	next := c.newRelease(s, Revision{Hash: c.oldHash, Digest: old}, digest)
	next.StableConfig = c.config(old, c.oldHash)
	next.Held = c.firstWishes()
	if c.pausedByUser(next.Held) {
		next.Step = 0
	}
	return c.held(Hold, next, s), nil
}

// firstWishes returns what the user wants in the fields that the hold sets. Once admission has set them
// (a second invocation), its state says what the user had sent.
func (c change) firstWishes() Held {
	if first := c.firstInvocation(); first != nil {
		return first.Held
	}
	return fields(c.New)
}

// fields returns the fields that a hold sets, as they stand in the object.
func fields(w *Workload) Held {
	return Held{Paused: w.Spec.Paused, Partition: w.Spec.UpdateStrategy.Partition()}
}

// pausedByUser: nothing would roll out even without sluice.
func (c change) pausedByUser(held Held) bool {
	if c.Kind == StatefulSet {
		return held.Partition >= c.New.Replicas()
	}
	return held.Paused
}

// nativeSequence is the promotion that leaves everything to the native controller.
func (c change) nativeSequence() Sequence {
	if c.Kind == StatefulSet {
		return SequenceP
	}
	return SequenceC
}

func (c change) newRelease(s Settings, stable Revision, digest string) *Release {
	return &Release{
		ID:     c.nextID(),
		Phase:  Progressing,
		Step:   1,
		Stable: stable,
		Canary: Revision{Hash: c.newHash, Digest: digest},
		Policy: s.Policy,
		Author: c.User,
		Cause:  c.cause(),
	}
}

// revert takes a stable version back, with the digest that its ReplicaSet has, so that no stable pod is
// touched.
func (c change) revert(stable *Revision) (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	reason := "the stable version was applied again"
	if c.notices() {
		reason = "the config is what it was before"
	}
	next.revertTo(c.Kind, reason)
	d := c.with(Reverted, next)
	d.Want.Digest = &stable.Digest
	c.baseline(d.Want, *stable)
	d.Warnings = []string{c.revertWarning()}
	return d, nil
}

// revertTo sets the release on its way back. The controller stamps it.
func (r *Release) revertTo(kind, reason string) {
	r.Phase, r.Since, r.Reason, r.Gate = Reverting, nil, reason, nil
	if r.Holds() {
		r.Stage = r.revertStage(kind)
	}
}

// revertStage is where a revert of what is held begins. A StatefulSet does not touch pods of the version
// in its spec, so it need not be held; but where requests may be divided, they leave its canary's pods first.
func (r *Release) revertStage(kind string) Stage {
	if kind == StatefulSet && !r.Divided {
		return Finishing
	}
	return ""
}

// resumesPromotion: a version that was approved and promoted, then reverted natively, comes back
// before that is over.
func (c change) resumesPromotion() bool {
	return c.release.Phase == Reverting && !c.release.Holds() && c.release.Sequence != "" && c.newHash == c.release.Canary.Hash
}

func (c change) resumePromotion() (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	next.Phase, next.Since, next.Reason = Promoting, nil, "the approved version was applied again"
	d := c.with(Carried, next)
	d.Want.Digest = &next.Canary.Digest
	d.Warnings = []string{c.resumePromotionWarning()}
	return d, nil
}

// supersede starts a release in place of another. The stable revision stays, unless the native
// controllers were already promoting the other one: then that is the stable one.
func (c change) supersede(w World) (Decision, error) {
	s, err := c.settings(w)
	if err != nil {
		return deny(InvalidPolicy, c.refused("its policy is not valid", err.Error())), nil
	}
	stable, former := c.release.Stable, c.release.Former
	if c.release.Phase == Promoting && !c.release.Holds() {
		stable = c.release.Canary
		if c.Kind == StatefulSet {
			former = &c.release.Stable
		}
	}
	next := c.newRelease(s, stable, s.digest(w))
	if c.notices() && c.newHash == c.release.Canary.Hash {
		next.Author = c.release.Author // whose template it is
	}
	next.Former, next.Divided = former, c.release.Divided
	if stable == c.release.Stable {
		next.StableConfig = c.release.StableConfig
	}
	next.Held = c.wishes()
	if c.disabled(s, w) {
		next.Phase, next.Stage, next.Sequence = Promoting, Finishing, c.nativeSequence()
		next.Reason = nativeBecause[Disabled]
		d := c.with(Native, next)
		if c.Kind == Deployment && (c.release.Step == 0 || (!c.release.Holds() && c.Old.Spec.Paused)) {
			d.Want.Paused = &next.Held.Paused // the user's own pause was there before
		}
		d.Want.Digest = &next.Canary.Digest
		d.Reason = Disabled
		d.Warnings = append(overriddenWarning(s), c.nativeWarning(Disabled))
		return d, nil
	}
	next.Surge, next.Restoring = c.release.Surge, c.release.Restoring && stable == c.release.Stable
	if before := c.release.Step == 0 || (!c.release.Holds() && c.pausedByUser(fields(c.Old))); before && c.pausedByUser(next.Held) {
		next.Step = 0
	}
	return c.held(Superseded, next, s), nil
}

// held is the decision to hold a new template as a release.
func (c change) held(verdict Verdict, next *Release, s Settings) Decision {
	d := c.with(verdict, next)
	c.forgetDrivers(d.Want, next)
	d.Want.Digest = &next.Canary.Digest
	d.Warnings = append(overriddenWarning(s), c.holdWarning(next))
	return d
}

// settings resolves the policy by the old object; by the new one where the old one's is not valid,
// which only happens to what was written before the Namespace opted in.
func (c change) settings(w World) (Settings, error) {
	if err := Validate(c.Old.Metadata.Annotations); err != nil {
		return settings(w.NamespaceAnnotations, c.New)
	}
	return settings(w.NamespaceAnnotations, c.Old)
}
