package ownership

import (
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Some numbers that Kubernetes has, with the source.
const (
	// maxUpdateEntries: beyond so many the oldest Update entries become one, "ancient-changes"
	// (k8s.io/apimachinery, managedfields DefaultMaxUpdateManagers).
	maxUpdateEntries = 10
	ancient          = "ancient-changes"
	// tooLarge is a third of the 1.5 MiB that a request to etcd may have. An object that does not fit is
	// tried once more without its managedFields (k8s.io/apiserver, isTooLargeError).
	tooLarge = 512 << 10
)

// taken returns what the write takes from the owner of an entry, in the order of server-side apply.
func (r *rules) taken(e *entry) ([]Conflict, error) {
	lost, err := r.lost(e)
	if err != nil || lost.Empty() {
		return nil, err
	}
	held, err := e.fields()
	if err != nil {
		return nil, err
	}
	t := taking{rules: r, entry: e, after: r.new.Metadata.ManagedFields.find(e.owner()), held: held, removed: &fieldpath.Set{}}
	lost.Iterate(func(path fieldpath.Path) {
		if err == nil {
			err = t.path(path)
		}
	})
	return t.conflicts, err
}

// taking is what one owner loses.
type taking struct {
	*rules
	entry     *entry // before
	after     *entry // nil where it is gone
	held      *fieldpath.Set
	removed   *fieldpath.Set // what is reported with all that is below
	rewritten bool           // is reported, once
	conflicts []Conflict
}

// path judges one path that the owner held and no longer does.
func (t *taking) path(path fieldpath.Path) error {
	if covered(t.ignored, path) || t.below(path) {
		return nil
	}
	how, err := t.how(path)
	if err != nil || how == "" {
		return err
	}
	field := path.String()
	if how == Removed {
		t.removed.Insert(path.Copy())
	}
	if how == Rewritten {
		if t.rewritten {
			return nil
		}
		t.rewritten, field = true, managedFieldsField
	}
	t.conflicts = append(t.conflicts, t.conflict(field, how))
	return nil
}

func (t *taking) conflict(field string, how How) Conflict {
	return Conflict{Owner: t.entry.owner(), Field: field, How: how, Protected: t.protects(t.entry, field)}
}

// below tells whether an item or struct that contains the path is reported already.
func (t *taking) below(path fieldpath.Path) bool {
	for i := 1; i < len(path); i++ {
		if t.removed.Has(path[:i]) {
			return true
		}
	}
	return false
}

// how returns what happened to a path, empty where nothing is to be said of it.
func (t *taking) how(path fieldpath.Path) (How, error) {
	if t.scaling {
		return Modified, nil
	}
	switch {
	case t.after != nil && t.after.APIVersion != t.entry.APIVersion:
		return Rewritten, nil // the API server leaves a version alone that its owner did not change
	case t.entry.APIVersion != t.old.APIVersion:
		return t.howInOtherVersion(path)
	case covered(t.driven, path): // the value is the release's; what the user gets back is another one
		return t.howModified(path)
	}
	change := t.change(t.held, path)
	if change == Modified && (empty(t.old.at(path)) || empty(t.new.at(path))) {
		// An empty struct that somebody filled has not changed itself, where the API server says so.
		if merged, err := t.merged(path); merged || err != nil {
			return "", err
		}
	}
	if change == Modified {
		return t.howModified(path)
	}
	if change == Removed {
		return t.howRemoved(path)
	}
	return t.howUnchanged(path)
}

// change compares a path's presence and, where the set has nothing below it, its value. Items of one key
// that are several count as one value.
func (c *Comparison) change(held *fieldpath.Set, path fieldpath.Path) How {
	before, now := c.old.at(path), c.new.at(path)
	switch {
	case len(now) == 0 && len(before) > 0:
		return Removed
	case len(now) > 0 && len(before) == 0:
		return Modified
	case len(now) > 1 || len(before) > 1 || leaf(held, path):
		if !equal(before, now) {
			return Modified
		}
	}
	return ""
}

// howModified: of a path that was modified only the requester's entry is left, and says by what it wrote.
func (t *taking) howModified(path fieldpath.Path) (How, error) {
	for _, e := range t.new.Metadata.ManagedFields {
		if e.Operation != apply || e.owner() == t.entry.owner() || !t.mayHaveWritten(e) {
			continue
		}
		if has, err := e.has(path); has || err != nil {
			return Applied, err
		}
	}
	return Modified, nil
}

// mayHaveWritten tells whether an entry goes by the requester's name.
func (c *Comparison) mayHaveWritten(e *entry) bool {
	return c.requester.Manager == "" || c.operator.Principal(c.requester.Manager) == c.operator.Principal(e.Manager)
}

// howRemoved leaves out what server-side apply lets go: what others hold of an item that only its owner
// drops. And the map of labels or annotations that goes with its last key: that key is what counts.
func (t *taking) howRemoved(path fieldpath.Path) (How, error) {
	if holdsKeys(path) {
		keys := 0
		members(t.old.at(path)[0], func(_, _ []byte) { keys++ })
		if keys > 0 {
			return "", nil
		}
	}
	for i := len(path) - 1; i > 0; i-- {
		item := path[:i]
		if item[i-1].FieldName != nil {
			continue // what the owner held itself of what contains the path was judged before
		}
		if mine, err := t.dropped(item); mine || err != nil {
			return "", err
		}
	}
	return Removed, nil
}

// holdsKeys tells whether a path is the map of labels or annotations itself.
func holdsKeys(path fieldpath.Path) bool {
	last := path[len(path)-1].FieldName
	return last != nil && (*last == "annotations" || *last == "labels")
}

// dropped tells whether the requester held an item that is gone.
func (t *taking) dropped(item fieldpath.Path) (bool, error) {
	for _, e := range t.old.Metadata.ManagedFields {
		if !t.requester.is(t.operator.Principal(e.Manager)) {
			continue
		}
		if has, err := e.has(item); !has || err != nil {
			if err != nil {
				return false, err
			}
			continue
		}
		return len(t.new.at(item)) == 0, nil
	}
	return false, nil
}

// howUnchanged: the claim went and the value stayed. That is well where the same principal holds it under
// another name, or where the API server itself put claims together or left them all out. (The owner itself
// still holds it where somebody who pretends to be the owner is looked at.)
func (t *taking) howUnchanged(path fieldpath.Path) (How, error) {
	now := t.new.Metadata.ManagedFields
	if holdsKeys(path) { // its keys are what is claimed
		return "", nil
	}
	if len(now) == 0 && len(t.review.New) > tooLarge {
		return "", nil
	}
	for _, e := range now {
		if e != t.after && !t.inherits(e) && !t.capped(e) {
			continue
		}
		if has, err := e.has(path); has || err != nil {
			return "", err
		}
	}
	if atomic, err := t.becameAtomic(path); atomic || err != nil {
		return "", err
	}
	return Rewritten, nil
}

// inherits tells whether an entry is the same principal's, and as well protected: an applier's claims that
// became claims by Update would be anyone's with the next write.
func (t *taking) inherits(e *entry) bool {
	return t.operator.Principal(e.Manager) == t.operator.Principal(t.entry.Manager) &&
		(e.Operation == apply || t.entry.Operation != apply || t.protects(e, ""))
}

// merged tells whether the API server put the claim together with others' old ones.
func (t *taking) merged(path fieldpath.Path) (bool, error) {
	for _, e := range t.new.Metadata.ManagedFields {
		if !t.capped(e) {
			continue
		}
		if has, err := e.has(path); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// capped tells whether an entry is the one in which the API server puts the oldest Update entries.
func (t *taking) capped(e *entry) bool {
	if e.Manager != ancient || e.Operation != update || t.entry.Operation != update {
		return false
	}
	updates := 0
	for _, before := range t.old.Metadata.ManagedFields {
		if before.Operation == update {
			updates++
		}
	}
	return updates >= maxUpdateEntries
}
