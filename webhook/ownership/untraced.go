package ownership

import (
	"bytes"
	"slices"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Untraced returns the fields of protected owners that changed although their owner still holds them:
// another webhook changed them after the write, or the API server could not track it. Where it tracked
// something, nobody can be held to it, so it is for the log. The Namespace's policy is not asked: managers that
// only its annotation protects are left out.
func (c *Comparison) Untraced() ([]Conflict, error) {
	if c.spared() != "" || c.scaling {
		return nil, nil
	}
	return c.under(nil).untraced()
}

func (r *rules) untraced() ([]Conflict, error) {
	var found []Conflict
	for _, e := range r.old.Metadata.ManagedFields {
		if !r.meantAll(e) && !r.autoscales(e) || r.requester.is(r.operator.Principal(e.Manager)) || e.APIVersion != r.old.APIVersion {
			continue
		}
		still, err := r.kept(e)
		if err != nil {
			return nil, err
		}
		u := untraced{rules: r, entry: e}
		u.walk(still, nil, [][]byte{r.old.raw}, [][]byte{r.new.raw})
		found = append(found, u.found...)
	}
	sortByOwner(found)
	return found, nil
}

// unrecorded returns what appliers hold and what changed all the same, where the API server entered nothing at
// all. It does so where nothing changed, and where it failed to: for a custom resource a body can see to that, by
// claims in a version that the resource does not have. Claims by Update are left out: a second write of their
// owner within the same second looks alike.
func (r *rules) unrecorded() ([]Conflict, error) {
	if r.scaling || !slices.EqualFunc(r.old.Metadata.ManagedFields, r.new.Metadata.ManagedFields, func(a, b *entry) bool {
		return a.owner() == b.owner() && a.Time == b.Time && sameFields(a, b)
	}) {
		return nil, nil
	}
	found, err := r.untraced()
	return slices.DeleteFunc(found, func(c Conflict) bool { return c.Owner.Operation != apply }), err
}

// kept returns what the owner of an entry holds before and after.
func (c *Comparison) kept(e *entry) (*fieldpath.Set, error) {
	after := c.new.Metadata.ManagedFields.find(e.owner())
	if after == nil {
		return &fieldpath.Set{}, nil
	}
	held, err := e.fields()
	if err != nil || sameFields(e, after) {
		return held, err
	}
	left, err := after.fields()
	if err != nil {
		return nil, err
	}
	return held.Intersection(left), nil
}

// untraced goes down the fields that an owner kept, and leaves out what has the same bytes before and after:
// in most writes that is nearly all.
type untraced struct {
	*rules
	entry *entry
	found []Conflict
}

func (u *untraced) walk(set *fieldpath.Set, path fieldpath.Path, before, now [][]byte) {
	visit := func(element fieldpath.PathElement, look func(at fieldpath.Path, before, now [][]byte)) {
		was, is := u.old.below(before, element), u.new.below(now, element)
		if !slices.EqualFunc(was, is, bytes.Equal) {
			look(append(slices.Clip(path), element), was, is)
		}
	}
	set.Members.Iterate(func(element fieldpath.PathElement) {
		_, more := set.Children.Get(element)
		visit(element, func(at fieldpath.Path, before, now [][]byte) { u.judge(at, before, now, !more) })
	})
	set.Children.Iterate(func(element fieldpath.PathElement) {
		children, _ := set.Children.Get(element)
		visit(element, func(at fieldpath.Path, before, now [][]byte) { u.walk(children, at, before, now) })
	})
}

func (u *untraced) judge(path fieldpath.Path, before, now [][]byte, leaf bool) {
	field := path.String()
	changed := (len(before) == 0) != (len(now) == 0) || leaf && !equal(before, now)
	// An empty map or list that was filled, or emptied: what is in it has owners of its own.
	if !changed || empty(before) || empty(now) || covered(u.ignored, path) || !u.protects(u.entry, field) {
		return
	}
	u.found = append(u.found, Conflict{Owner: u.entry.owner(), Field: field, How: Untraced, Protected: true})
}

func empty(values [][]byte) bool {
	return len(values) == 1 && (string(values[0]) == "{}" || string(values[0]) == "[]")
}
