package hashing

import (
	"cmp"
	"slices"
)

// Kind is the kind of an object that holds config.
type Kind string

// The two kinds that a pod template can refer to.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
)

// Reference is everything that one pod template says about one ConfigMap or Secret of its own namespace.
type Reference struct {
	Kind Kind
	Name string
	// Keys that are used, sorted and unique. Empty means all keys: no reference uses none.
	Keys []string
	// Required are the keys without which pods do not start, sorted and unique. Some required keys can be named while
	// Keys is empty (envFrom and a keyRef of the same object), and a used key need not be required (a keyRef with
	// optional: true).
	Required []string
	// Optional is true if pods start without the object.
	Optional bool
}

// merge returns one reference per object, sorted by kind and name. It does not change its argument.
func merge(refs []Reference) []Reference {
	sorted := slices.Clone(refs)
	slices.SortStableFunc(sorted, compareReferences)
	var merged []Reference
	for rest := sorted; len(rest) > 0; {
		n := 1
		for n < len(rest) && compareReferences(rest[0], rest[n]) == 0 {
			n++
		}
		merged = append(merged, union(rest[:n]))
		rest = rest[n:]
	}
	return merged
}

func compareReferences(a, b Reference) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// union merges references of one object.
func union(refs []Reference) Reference {
	all := Reference{Kind: refs[0].Kind, Name: refs[0].Name, Optional: true}
	allKeys := false
	for _, ref := range refs {
		allKeys = allKeys || len(ref.Keys) == 0
		all.Keys = append(all.Keys, ref.Keys...)
		all.Required = append(all.Required, ref.Required...)
		all.Optional = all.Optional && ref.Optional
	}
	all.Keys, all.Required = set(all.Keys), set(all.Required)
	if allKeys {
		all.Keys = nil
	}
	return all
}

// set sorts names in place and drops duplicates.
func set(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
