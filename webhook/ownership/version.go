package ownership

import (
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// The API server keeps claims in the version in which they were made, and rewrites them when a struct of a
// version becomes atomic: what was owned field by field is owned as a whole then.

// howInOtherVersion judges claims in another version of the API, whose paths may not be this one's. The API
// server compared in that version already. An entry that is gone as a whole lost all that it held, or had a
// version that is no longer served: then only what is seen to change in this version counts.
func (t *taking) howInOtherVersion(path fieldpath.Path) (How, error) {
	if t.after == nil {
		change := t.change(t.held, path)
		if change == Modified {
			return t.howModified(path)
		}
		if change == Removed {
			return t.howRemoved(path)
		}
		if len(t.new.Metadata.ManagedFields) == 0 && len(t.review.New) <= tooLarge {
			return Rewritten, nil // a body that says [] clears them all
		}
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
			if e == t.after && t.custom() || e != t.after && t.change(set, whole) == Modified {
				return true, nil
			}
		}
	}
	return false, nil
}

// custom tells whether the object is of a custom resource. The structs of Kubernetes' own kinds do not become
// atomic, so where that seems so a body rewrote the claims.
func (t *taking) custom() bool {
	group, _, _ := strings.Cut(t.old.APIVersion, "/")
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}
