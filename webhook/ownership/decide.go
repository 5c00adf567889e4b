package ownership

import (
	"fmt"
	"slices"
	"strings"
)

// Decide judges a write. The error says that the review cannot be judged: an object that does not decode,
// or managedFields that no API server stores.
func Decide(r Review, o Operator) (Decision, error) {
	c, err := compare(r, o)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Verdict: Allowed, subject: c.subject(), user: r.User}
	if d.Reason = c.spared(); d.Reason != "" {
		return d, nil
	}
	if c.requester, err = c.identify(); err != nil {
		return Decision{}, err
	}
	d.Requester, d.subject.requester = c.requester, c.requester
	for _, fault := range c.faults {
		d.Warnings = append(d.Warnings, "sluice: "+cut(fault))
	}
	for _, e := range c.old.Metadata.ManagedFields {
		conflicts, err := c.taken(e)
		if err != nil {
			return Decision{}, err
		}
		d.judge(c, conflicts)
	}
	d.ForceAsked = c.forceAsked()
	return d.finish(c.policy.mode), nil
}

// comparison is a review with what is known about it.
type comparison struct {
	Review
	operator  Operator
	old, new  *object
	policy    policy
	faults    []string // of the policy
	ignored   []Field
	requester Requester
	// scaling: the write is one to /scale, and entered nowhere.
	scaling bool
}

func compare(r Review, o Operator) (*comparison, error) {
	c := &comparison{Review: r, operator: o}
	var err error
	if c.old, err = decodeObject(r.Old); err != nil {
		return nil, fmt.Errorf("decoding the old object: %w", err)
	}
	if c.new, err = decodeObject(r.New); err != nil {
		return nil, fmt.Errorf("decoding the new object: %w", err)
	}
	parseTogether(c.old.Metadata.ManagedFields, c.new.Metadata.ManagedFields)
	c.setPolicy()
	return c, nil
}

func (c *comparison) setPolicy() {
	var err error
	if c.policy, err = policyOf(c.old.Metadata.Annotations, c.NamespaceAnnotations); err != nil {
		c.faults = strings.Split(err.Error(), "\n")
	}
	c.ignored = append(slices.Clip(alwaysIgnored), c.policy.ignored...)
	if c.old.releasing() || c.new != nil && c.new.releasing() {
		c.ignored = append(c.ignored, driven...)
	}
}

// spared returns why the write is not to be compared.
func (c *comparison) spared() Reason {
	switch {
	case c.old.Metadata.DeletionTimestamp != nil:
		return BeingDeleted
	case c.Sluice || exempt(c.User):
		return Exempt
	case c.policy.mode == Ignore:
		return Ignored
	case len(c.old.Metadata.ManagedFields) == 0:
		return Untracked
	}
	return ""
}

// forceAsked: by the field manager, or by naming the very version that the write changes.
func (c *comparison) forceAsked() bool {
	asked, before := c.new.Metadata.Annotations[ForceAnnotation], c.old.Metadata.Annotations[ForceAnnotation]
	return c.FieldManager == ForceManager || asked != "" && asked != before && asked == c.old.Metadata.ResourceVersion
}

// judge sorts conflicts by what comes of them.
func (d *Decision) judge(c *comparison, conflicts []Conflict) {
	for _, conflict := range conflicts {
		switch c.outcome(conflict) {
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
func (c *comparison) outcome(conflict Conflict) Mode {
	mode := c.policy.mode
	if !conflict.Protected {
		mode = milder(mode, Warn)
	}
	switch {
	case conflict.How == Untraced:
		return Ignore
	case conflict.How == Applied:
		return milder(mode, c.operator.forcedApply())
	case (conflict.How == Removed || c.scaling) && !c.foreign(conflict.Owner):
		return milder(mode, c.operator.unknown())
	}
	return mode
}

// foreign tells whether it is certain that the owner is not who asks.
func (c *comparison) foreign(o Owner) bool {
	return c.requester.Known() || !c.operator.mayBe(c.User, c.operator.principal(o.Manager))
}

func (d Decision) finish(mode Mode) Decision {
	for _, conflicts := range [][]Conflict{d.Refused, d.Warned, d.Audited} {
		sortByOwner(conflicts)
	}
	if len(d.Refused) > 0 {
		d.Verdict = Denied
	} else if len(d.Warned) > 0 {
		d.Verdict = Warned
	}
	d.Warnings = append(d.Warnings, warnings(d.Warned, mode)...)
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
