package ownership

import (
	"slices"
	"strings"
)

// Decide judges the write by the policy of the object and of its Namespace, whose annotations are defaults;
// nil will do for a write that is not Contested.
func (c *Comparison) Decide(namespace map[string]string) (Decision, error) {
	r := c.under(namespace)
	d := Decision{
		Verdict: Allowed, Object: c.old.reference(), Mode: r.policy.mode, Reason: c.spared(), Requester: c.requester,
		subject: c.subject(), user: c.review.User,
	}
	if d.Reason == "" && d.Mode == Ignore {
		d.Reason = Ignored
	}
	if d.Reason != "" {
		return d, nil
	}
	for _, fault := range r.faults {
		d.Warnings = append(d.Warnings, "sluice: "+cut(fault))
	}
	conflicts, err := r.conflicts()
	if err != nil {
		return Decision{}, err
	}
	d.judge(r, conflicts)
	if r.policy.mode == Enforce {
		d.Loosened = r.loosened(namespace)
	}
	d.ForceAsked = c.forceAsked() || d.deliberate()
	return d.finish(), nil
}

func (r *rules) conflicts() ([]Conflict, error) {
	var all []Conflict
	for _, e := range r.old.Metadata.ManagedFields {
		conflicts, err := r.taken(e)
		if err != nil {
			return nil, err
		}
		all = append(all, conflicts...)
	}
	if len(all) > 0 {
		return all, nil
	}
	return r.unrecorded()
}

// forceAsked: by the field manager, or by naming the very version that the write changes.
func (c *Comparison) forceAsked() bool {
	asked, before := c.new.Metadata.Annotations[ForceAnnotation], c.old.Metadata.Annotations[ForceAnnotation]
	return c.review.FieldManager == ForceManager || asked != "" && asked != before && asked == c.old.Metadata.ResourceVersion
}

// judge sorts conflicts by what comes of them.
func (d *Decision) judge(r *rules, conflicts []Conflict) {
	for _, conflict := range conflicts {
		switch r.outcome(conflict) {
		case Enforce:
			d.Refused = append(d.Refused, conflict)
		case Warn:
			d.Warned = append(d.Warned, conflict)
		case Ignore:
			d.Audited = append(d.Audited, conflict)
		}
	}
}

// outcome is what comes of a conflict: the mode, or what is milder.
func (r *rules) outcome(conflict Conflict) Mode {
	mode := r.policy.mode
	if conflict.Owner.recordsForce() && !conflict.Protected {
		return Ignore
	}
	if !conflict.Protected {
		mode = milder(mode, Warn)
	}
	switch {
	case conflict.How == Untraced:
		return milder(mode, r.operator.unknown())
	case conflict.How == Applied:
		return milder(mode, r.operator.forcedApply())
	case (conflict.How == Removed || r.scaling) && !r.foreign(conflict.Owner):
		// It may be the owner itself. `kubectl scale` names no manager, and who applied with kubectl may scale with it.
		if !conflict.Protected || r.scaling && r.operator.Principal(conflict.Owner.Manager) == kubectl {
			return Ignore
		}
		return milder(mode, r.operator.unknown())
	}
	return mode
}

// foreign tells whether it is certain that the owner is not who asks.
func (c *Comparison) foreign(o Owner) bool {
	return c.requester.Known() || !c.operator.mayBe(c.review.User, c.operator.Principal(o.Manager))
}

func (d Decision) finish() Decision {
	for _, conflicts := range [][]Conflict{d.Refused, d.Warned, d.Audited} {
		sortByOwner(conflicts)
	}
	if len(d.Refused)+len(d.Loosened) > 0 {
		d.Verdict = Denied
	} else if len(d.Warned) > 0 {
		d.Verdict = Warned
	}
	if d.Verdict != Denied { // what is refused takes nothing
		d.Warnings = append(d.Warnings, warnings(d.Warned, d.Mode)...)
	}
	return d
}

// sortByOwner sorts as server-side apply does; the fields of an owner keep their order.
func sortByOwner(conflicts []Conflict) {
	if len(conflicts) < 2 {
		return
	}
	identities := map[Owner]string{}
	for _, conflict := range conflicts {
		if _, ok := identities[conflict.Owner]; !ok {
			identities[conflict.Owner] = conflict.Owner.identity()
		}
	}
	slices.SortStableFunc(conflicts, func(a, b Conflict) int {
		return strings.Compare(identities[a.Owner], identities[b.Owner])
	})
}
