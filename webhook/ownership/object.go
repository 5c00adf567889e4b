package ownership

import (
	"encoding/json"
	"errors"
	"fmt"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"sluice.dev/sluice/canary"
)

// object is one of the two objects of a review. Its values are decoded only when they are asked for, and
// of the metadata never the managedFields.
type object struct {
	head
	raw      json.RawMessage
	top      map[string]json.RawMessage
	metadata map[string]json.RawMessage
	decoded  map[string]any
}

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name              string            `json:"name"`
		Namespace         string            `json:"namespace"`
		ResourceVersion   string            `json:"resourceVersion"`
		DeletionTimestamp *string           `json:"deletionTimestamp"`
		Annotations       map[string]string `json:"annotations"`
		ManagedFields     entries           `json:"managedFields"`
	} `json:"metadata"`
}

func decodeObject(raw json.RawMessage) (*object, error) {
	o := &object{raw: raw}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &o.head); err != nil {
		return nil, err
	}
	for _, e := range o.Metadata.ManagedFields {
		if e == nil {
			return nil, errors.New("managedFields has a null entry")
		}
		if err := e.validate(); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *object) releasing() bool { return o.Metadata.Annotations[canary.ReleaseAnnotation] != "" }

// at returns the values at a path: none where it is absent, several where a list has several items of one
// key. The error says that the object is not JSON.
func (o *object) at(path fieldpath.Path) ([]any, error) {
	if len(path) == 0 || path[0].FieldName == nil {
		return nil, nil
	}
	key, part, rest := *path[0].FieldName, &o.top, path[1:]
	from := o.raw
	if key == "metadata" && len(rest) > 0 && rest[0].FieldName != nil {
		if err := open(&o.top, o.raw); err != nil {
			return nil, err
		}
		from, part = o.top[key], &o.metadata
		key, rest = *rest[0].FieldName, rest[1:]
	}
	if err := open(part, from); err != nil {
		return nil, err
	}
	raw, ok := (*part)[key]
	if !ok {
		return nil, nil
	}
	decoded, err := o.decode(raw, *path[0].FieldName+"."+key)
	if err != nil {
		return nil, err
	}
	return descend(decoded, rest), nil
}

func open(into *map[string]json.RawMessage, raw json.RawMessage) error {
	if *into != nil || len(raw) == 0 {
		return nil
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, into); err != nil {
		return fmt.Errorf("decoding the object: %w", err)
	}
	return nil
}

func (o *object) decode(raw json.RawMessage, name string) (any, error) {
	if decoded, ok := o.decoded[name]; ok {
		return decoded, nil
	}
	var decoded any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &decoded); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	if o.decoded == nil {
		o.decoded = map[string]any{}
	}
	o.decoded[name] = decoded
	return decoded, nil
}

// descend returns what is at a path below a value.
func descend(v any, path fieldpath.Path) []any {
	if len(path) == 0 {
		return []any{v}
	}
	element, rest := path[0], path[1:]
	if element.FieldName != nil {
		fields, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		field, ok := fields[*element.FieldName]
		if !ok {
			return nil
		}
		return descend(field, rest)
	}
	items, ok := v.([]any)
	if !ok {
		return nil
	}
	var found []any
	for _, item := range selected(items, element) {
		found = append(found, descend(item, rest)...)
	}
	return found
}

// selected returns the items of a list that an element of a path means.
func selected(items []any, element fieldpath.PathElement) []any {
	switch {
	case element.Key != nil:
		if found := keyed(items, *element.Key, false); len(found) > 0 {
			return found
		}
		return keyed(items, *element.Key, true)
	case element.Value != nil:
		var found []any
		for _, item := range items {
			if value.Equals(value.NewValueInterface(item), *element.Value) {
				found = append(found, item)
			}
		}
		return found
	case element.Index != nil && *element.Index >= 0 && *element.Index < len(items):
		return items[*element.Index : *element.Index+1]
	}
	return nil
}

// keyed returns the items with these keys. A key that has a default may be left out by the object, never
// by a path; lenient: an item may lack all keys but one.
func keyed(items []any, key value.FieldList, lenient bool) []any {
	var found []any
	for _, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			continue
		}
		equal, absent := 0, 0
		for _, k := range key {
			have, ok := fields[k.Name]
			switch {
			case !ok:
				absent++
			case value.Equals(value.NewValueInterface(have), k.Value):
				equal++
			}
		}
		if equal == len(key) || lenient && equal > 0 && equal+absent == len(key) {
			found = append(found, item)
		}
	}
	return found
}

// equal compares what is at a path in two objects as the API server does: 1 and 1.0 are equal.
func equal(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !value.Equals(value.NewValueInterface(a[i]), value.NewValueInterface(b[i])) {
			return false
		}
	}
	return true
}
