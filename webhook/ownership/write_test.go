package ownership

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// write is a request to an object with owners.
type write struct {
	manager string // the field manager, or the user agent's name
	unnamed bool   // the request names no field manager
	user    string // bob where empty
	edit    func(manifest)
	// forced is a server-side apply with force of what edit makes of an empty object.
	forced bool
	// later is what other webhooks do afterwards; claims is what the body says for managedFields.
	later  func(manifest)
	claims func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry
	server *server
}

// review returns what the webhook is sent of it.
func (w write) review(t require.TestingT, live manifest) Review {
	s := deployments
	if w.server != nil {
		s = *w.server
	}
	stored := w.stored(t, s, live)
	if w.later != nil {
		stored = unstructuredCopy(stored).Object
		w.later(stored)
	}
	r := Review{Old: raw(t, live), New: raw(t, stored), User: w.user, FieldManager: w.manager, Resource: "deployments.apps"}
	if w.user == "" {
		r.User = "bob"
	}
	if w.unnamed {
		r.FieldManager = ""
	}
	return r
}

func (w write) stored(t require.TestingT, s server, live manifest) manifest {
	if w.forced {
		config := manifest{"apiVersion": s.kind.GroupVersion().String(), "kind": s.kind.Kind, "metadata": manifest{"name": "web", "namespace": "shop"}}
		w.edit(config)
		stored, err := s.apply(live, config, w.manager, true)
		require.NoError(t, err)
		return stored
	}
	body := unstructuredCopy(live).Object
	if w.edit != nil {
		w.edit(body)
	}
	if w.claims != nil {
		body = withClaims(body, w.claims(slices.Clone(claims(live))))
	}
	return s.update(live, body, w.manager)
}

// key is a step to an item of a list by one of its fields.
type key struct{ name, value string }

func image(container string) []any {
	return []any{"spec", "template", "spec", "containers", key{"name", container}, "image"}
}

// set returns an edit that sets a value; the path's steps are names and keys.
func set(value any, path ...any) func(manifest) {
	return func(o manifest) {
		last := len(path) - 1
		at(o, path[:last])[path[last].(string)] = value
	}
}

// unset returns an edit that removes a field or, where the path ends in a key, an item.
func unset(path ...any) func(manifest) {
	return func(o manifest) {
		last := len(path) - 1
		if name, ok := path[last].(string); ok {
			delete(at(o, path[:last]), name)
			return
		}
		holder := at(o, path[:last-1])
		k, name := path[last].(key), path[last-1].(string)
		holder[name] = slices.DeleteFunc(slices.Clone(holder[name].([]any)), func(item any) bool { return item.(manifest)[k.name] == k.value })
	}
}

// at returns the object at a path, and makes what is missing.
func at(o manifest, path []any) manifest {
	for i, step := range path {
		name, ok := step.(string)
		if !ok {
			continue
		}
		if i+1 < len(path) {
			if k, ok := path[i+1].(key); ok {
				o = item(o, name, k)
				continue
			}
		}
		if _, ok := o[name]; !ok {
			o[name] = manifest{}
		}
		o = o[name].(manifest)
	}
	return o
}

func item(o manifest, list string, k key) manifest {
	items, _ := o[list].([]any)
	for _, each := range items {
		if each.(manifest)[k.name] == k.value {
			return each.(manifest)
		}
	}
	made := manifest{k.name: k.value}
	o[list] = append(slices.Clone(items), made)
	return made
}

func both(edits ...func(manifest)) func(manifest) {
	return func(o manifest) {
		for _, edit := range edits {
			edit(o)
		}
	}
}

// decide is the whole way of a write, as a webhook goes it.
func decide(r Review, namespace map[string]string, o Operator) (Decision, error) {
	comparison, err := Compare(r, o)
	if err != nil {
		return Decision{}, err
	}
	contested, err := comparison.Contested()
	if err != nil {
		return Decision{}, err
	}
	if !contested {
		// The policy makes no difference then.
		decision, err := comparison.Decide(nil)
		if err != nil || decision.Verdict == Denied || len(decision.Warned) > 0 {
			return Decision{}, fmt.Errorf("a write that is not contested is %v: %w", decision, err)
		}
	}
	return comparison.Decide(namespace)
}

func untracedIn(r Review) ([]Conflict, error) {
	comparison, err := Compare(r, Operator{})
	if err != nil {
		return nil, err
	}
	return comparison.Untraced()
}
