package ownership

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/canary"
)

// Comparison is a write with all that can be said of it without the policy of its Namespace.
type Comparison struct {
	review    Review
	operator  Operator
	old, new  *object
	requester Requester
	always    []Field // ignored under any policy
	driven    []Field // what admission sets for the release
	// scaling: the write is one to /scale, and entered nowhere.
	scaling bool
	// resized: it changes the number, to replicas.
	resized  bool
	replicas int64
}

// Compare looks at a write. The error says that it cannot be judged: an object that does not decode, or
// managedFields that no API server stores.
func Compare(r Review, o Operator) (*Comparison, error) {
	c := &Comparison{review: r, operator: o}
	var err error
	if c.old, err = decodeObject(r.Old); err != nil {
		return nil, fmt.Errorf("decoding the old object: %w", err)
	}
	if c.new, err = decodeObject(r.New); err != nil {
		return nil, fmt.Errorf("decoding the new object: %w", err)
	}
	parseTogether(c.old.Metadata.ManagedFields, c.new.Metadata.ManagedFields)
	return c, c.prepare()
}

func (c *Comparison) prepare() (err error) {
	c.always = slices.Clip(alwaysIgnored)
	c.driven = append(slices.Clip(drivenBy(c.old.release())), drivenBy(c.new.release())...)
	if c.wishesStay() {
		c.always = append(c.always, c.driven...)
	}
	if c.spared() == "" {
		c.requester, err = c.identify()
	}
	return err
}

// wishesStay tells whether the write leaves alone what the user gets back when the release is over.
func (c *Comparison) wishesStay() bool {
	before, now := c.old.release(), c.new.release()
	return before == nil || now == nil || reflect.DeepEqual(wishes(before), wishes(now))
}

// wishes are the user's own values of the fields that admission sets.
func wishes(r *canary.Release) canary.Held {
	held := r.Held
	held.Stated = 0
	if r.Surge == 0 {
		held.MaxSurge = nil
	}
	return held
}

// spared returns why the write is not to be compared, whatever the policy says.
func (c *Comparison) spared() Reason {
	switch {
	case c.old.Metadata.DeletionTimestamp != nil:
		return BeingDeleted
	case c.review.Sluice || exempt(c.review.User):
		return Exempt
	case len(c.old.Metadata.ManagedFields) == 0:
		return Untracked
	}
	return ""
}

// Contested tells whether somebody other than who asks lost a claim, or the write changes what is protected.
// Else it is allowed, whatever the policy of the Namespace is.
func (c *Comparison) Contested() (bool, error) {
	if c.spared() != "" {
		return false, nil
	}
	if len(c.changedPolicy()) > 0 {
		return true, nil
	}
	for _, e := range c.old.Metadata.ManagedFields {
		lost, err := c.lost(e)
		if err != nil {
			return false, err
		}
		found := false
		lost.Iterate(func(path fieldpath.Path) { found = found || !covered(c.always, path) })
		if found {
			return true, nil
		}
	}
	found, err := c.under(nil).unrecorded()
	return len(found) > 0, err
}

// lost returns what the owner of an entry held and no longer does; nothing where it is who asks.
//
// Where the requester goes by the owner's name and is bound to another, all counts as lost, since the API
// server enters the write as the owner's own.
func (c *Comparison) lost(e *entry) (*fieldpath.Set, error) {
	principal := c.operator.Principal(e.Manager)
	if c.requester.is(principal) {
		return &fieldpath.Set{}, nil
	}
	if c.scaling {
		return c.scaled(e)
	}
	after := c.new.Metadata.ManagedFields.find(e.owner())
	pretended := c.requester.Disbelieved && c.operator.Principal(c.requester.Manager) == principal
	versioned := after != nil && after.APIVersion != e.APIVersion // by whoever wrote managedFields
	if sameFields(e, after) && !pretended && !versioned {
		return &fieldpath.Set{}, nil
	}
	held, err := e.fields()
	if err != nil || after == nil || pretended || versioned {
		return held, err
	}
	left, err := after.fields()
	if err != nil {
		return nil, err
	}
	return held.Difference(left), nil
}

// rules are a Comparison under the policy of its Namespace.
type rules struct {
	*Comparison
	policy  policy
	faults  []string // of the policy
	ignored []Field
}

func (c *Comparison) under(namespace map[string]string) *rules {
	r := &rules{Comparison: c}
	var err error
	if r.policy, err = policyOf(c.old.Metadata.Annotations, namespace); err != nil {
		r.faults = strings.Split(err.Error(), "\n")
	}
	r.ignored = append(slices.Clip(c.always), r.policy.ignored...)
	return r
}
