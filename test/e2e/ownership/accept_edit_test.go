package ownership

import (
	"maps"
	"slices"
	"strings"
)

type manifest = map[string]any

// key is a step to an item of a list by one of its fields.
type key struct{ name, value string }

// set returns an edit that sets a value; the path's steps are names and keys. An edit made twice is the
// same as made once: that is how a test sees that it was stored.
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

// ordered returns an edit that puts the items of a list in this order, by their names.
func ordered(names []string, path ...any) func(manifest) {
	return func(o manifest) {
		holder, last := at(o, path[:len(path)-1]), path[len(path)-1].(string)
		items := slices.Clone(holder[last].([]any))
		slices.SortFunc(items, func(a, b any) int {
			return slices.Index(names, a.(manifest)["name"].(string)) - slices.Index(names, b.(manifest)["name"].(string))
		})
		holder[last] = items
	}
}

func both(edits ...func(manifest)) func(manifest) {
	return func(o manifest) {
		for _, edit := range edits {
			edit(o)
		}
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

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// difference is a JSON patch; a list that differs is replaced.
func difference(path string, before, after manifest) []operation {
	var operations []operation
	for _, name := range slices.Sorted(maps.Keys(before)) {
		below := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		next, ok := after[name]
		old, isMap := before[name].(manifest)
		now, stays := next.(manifest)
		switch {
		case !ok:
			operations = append(operations, operation{Op: "remove", Path: below})
		case isMap && stays:
			operations = append(operations, difference(below, old, now)...)
		case !same(before[name], next):
			operations = append(operations, operation{Op: "replace", Path: below, Value: next})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[name]; !ok {
			below := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			operations = append(operations, operation{Op: "add", Path: below, Value: after[name]})
		}
	}
	return operations
}
