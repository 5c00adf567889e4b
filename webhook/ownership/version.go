package ownership

import "sigs.k8s.io/structured-merge-diff/v6/fieldpath"

// The API server keeps claims in the version in which they were made, and rewrites them when the schema of
// a version changes: what was owned field by field may be owned as a whole now, and the other way round.

// howInOtherVersion judges claims in another version of the API, whose paths may not be this one's. The API
// server compared in that version already. An entry that is gone as a whole had a version that is no
// longer served.
func (t *taking) howInOtherVersion(path fieldpath.Path) (How, error) {
	if t.after == nil {
		return "", nil
	}
	if has, err := t.after.has(path); has || err != nil {
		return "", err
	}
	if t.change(t.held, path) == Removed {
		return t.howRemoved(path)
	}
	return t.howModified(path) // what is not seen here is what the API server found
}

// becameGranular tells whether the owner holds parts of what it held as a whole.
func (t *taking) becameGranular(path fieldpath.Path) bool {
	return t.after != nil && t.after.set != nil && leaf(t.held, path) && !leaf(t.after.set, path)
}

// partsOf reports the parts that were there, changed, and are in somebody else's entry now.
func (t *taking) partsOf(whole fieldpath.Path) error {
	for _, e := range t.new.Metadata.ManagedFields {
		if e == t.after {
			continue
		}
		set, err := e.fields()
		if err != nil {
			return err
		}
		set.Iterate(func(part fieldpath.Path) {
			if len(part) <= len(whole) || !part[:len(whole)].Equals(whole) || covered(t.ignored, part) {
				return
			}
			if len(t.old.at(part)) > 0 && t.change(set, part) == Modified {
				t.conflicts = append(t.conflicts, t.conflict(part.String(), Modified))
			}
		})
	}
	return nil
}

// becameAtomic tells whether what contains an unchanged path is owned as a whole now. If it is somebody
// else's and changed, that is reported.
func (t *taking) becameAtomic(path fieldpath.Path) (bool, error) {
	for i := len(path) - 1; i > 1; i-- {
		whole := path[:i]
		if whole[i-1].FieldName == nil {
			continue
		}
		for _, e := range t.new.Metadata.ManagedFields {
			set, err := e.fields()
			if err != nil {
				return false, err
			}
			if !set.Has(whole) || !leaf(set, whole) {
				continue
			}
			if e != t.after && t.change(set, whole) == Modified {
				t.removed.Insert(whole.Copy()) // its other parts need no mention
				t.conflicts = append(t.conflicts, t.conflict(whole.String(), Modified))
			}
			if e == t.after || t.change(set, whole) == Modified {
				return true, nil
			}
		}
	}
	return false, nil
}
