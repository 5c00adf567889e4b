package hashing

import (
	"fmt"
	"slices"
	"strings"
)

// Absence is one required object that does not exist, or one that exists without required keys. Kubelets hold the pods
// until it is complete.
type Absence struct {
	Kind Kind
	Name string
	// Object is true if the whole object is absent.
	Object bool
	// Keys that are required and absent. Empty if the object is absent and its keys are not named by the template.
	Keys []string
}

// Missing returns what is required by the references and not in the objects, sorted by kind and name. Ignored objects
// are looked at as well: they roll nothing, but pods need them.
func Missing(refs []Reference, objects []Object) []Absence {
	existing := index(objects)
	var missing []Absence
	for _, ref := range merge(refs) {
		if ref.Optional {
			continue
		}
		object, exists := existing[identity{ref.Kind, ref.Name}]
		absent := slices.DeleteFunc(slices.Clone(ref.Required), object.has)
		if !exists || len(absent) > 0 {
			missing = append(missing, Absence{Kind: ref.Kind, Name: ref.Name, Object: !exists, Keys: absent})
		}
	}
	return missing
}

// String is the sentence for the user's warning. It names the object and its keys, and no value.
func (a Absence) String() string {
	object := fmt.Sprintf("%s %q", strings.ToLower(string(a.Kind)), a.Name)
	switch {
	case a.Object && len(a.Keys) > 0:
		object += " (" + keyNames(a.Keys) + ")"
	case !a.Object:
		object = keyNames(a.Keys) + " of " + object
	}
	if !a.Object && len(a.Keys) > 1 {
		return object + " are required by the pod template and do not exist: its pods wait until they do"
	}
	return object + " is required by the pod template and does not exist: its pods wait until it does"
}

// keyNames names three keys at most: the API server cuts a warning at 256 characters.
func keyNames(keys []string) string {
	const most = 3
	names := make([]string, 0, most)
	for _, key := range keys[:min(most, len(keys))] {
		names = append(names, fmt.Sprintf("%q", key))
	}
	list := strings.Join(names, ", ")
	if more := len(keys) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if len(keys) == 1 {
		return "key " + list
	}
	return "keys " + list
}
