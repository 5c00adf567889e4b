package ownership

import (
	"bytes"
	"slices"
	"strconv"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Asking a container of n elements for each of them goes n times through all of it. So a large one that is
// asked often gets an index: the cost of a decision grows with the size of the objects, and not faster.
const (
	indexedSize  = 4 << 10 // bytes; going through less is cheaper than an index
	indexedAfter = 4       // questions
)

// document finds values in the JSON of one object.
type document struct {
	raw     []byte
	asked   map[*byte]int
	indexes map[*byte]*index
}

func newDocument(raw []byte) *document {
	return &document{raw: raw, asked: map[*byte]int{}, indexes: map[*byte]*index{}}
}

// descend returns the values at one step below a value of the document.
func (d *document) descend(raw []byte, step fieldpath.PathElement) [][]byte {
	if len(raw) < indexedSize {
		return descend(raw, step)
	}
	at := &raw[0]
	if found, ok := d.indexes[at]; ok {
		return found.descend(step)
	}
	if d.asked[at]++; d.asked[at] <= indexedAfter {
		return descend(raw, step)
	}
	d.indexes[at] = newIndex(raw)
	return d.indexes[at].descend(step)
}

// below returns the values at one step below several values.
func (d *document) below(values [][]byte, step fieldpath.PathElement) [][]byte {
	var found [][]byte
	for _, raw := range values {
		found = append(found, d.descend(raw, step)...)
	}
	return found
}

// index is a container that was gone through once.
type index struct {
	members map[string][]byte   // of an object; of several of one name the last counts
	items   [][]byte            // of a list
	byValue map[string][][]byte // items that are plain, by what they are
	byKey   map[string]*keyIndex
	odd     [][]byte // items that are not plain
}

// keyIndex has the items of a list by the value of one field.
type keyIndex struct {
	plain map[string][][]byte
	odd   [][]byte // those that lack the field, or where it is not plain
}

func newIndex(raw []byte) *index {
	x := &index{members: map[string][]byte{}, byValue: map[string][][]byte{}, byKey: map[string]*keyIndex{}}
	members(raw, func(key, field []byte) {
		name := string(key)
		if bytes.IndexByte(key, '\\') >= 0 {
			name = unescaped(key)
		}
		x.members[name] = field
	})
	items(raw, func(item []byte) {
		x.items = append(x.items, item)
		if plain(item) {
			x.byValue[string(item)] = append(x.byValue[string(item)], item)
		} else {
			x.odd = append(x.odd, item)
		}
	})
	return x
}

func (x *index) descend(step fieldpath.PathElement) [][]byte {
	switch {
	case step.FieldName != nil:
		if field, ok := x.members[*step.FieldName]; ok {
			return [][]byte{field}
		}
	case step.Key != nil:
		return keyedOf(x.candidates(*step.Key), *step.Key)
	case step.Value != nil:
		text, ok := plainText(*step.Value)
		if !ok {
			return sameOf(x.items, *step.Value)
		}
		return append(slices.Clip(x.byValue[text]), sameOf(x.odd, *step.Value)...)
	case step.Index != nil && *step.Index >= 0 && *step.Index < len(x.items):
		return [][]byte{x.items[*step.Index]}
	}
	return nil
}

// candidates are the items that may have the key, and few others.
func (x *index) candidates(key value.FieldList) [][]byte {
	text, ok := plainText(key[0].Value)
	if !ok {
		return x.items
	}
	of, ok := x.byKey[key[0].Name]
	if !ok {
		of = &keyIndex{plain: map[string][][]byte{}}
		for _, item := range x.items {
			if field := member(item, key[0].Name); field != nil && plain(field) {
				of.plain[string(field)] = append(of.plain[string(field)], item)
			} else {
				of.odd = append(of.odd, item)
			}
		}
		x.byKey[key[0].Name] = of
	}
	return append(slices.Clip(of.plain[text]), of.odd...)
}

// plain tells whether equal values have equal bytes: strings without escapes, whole numbers, booleans.
func plain(raw []byte) bool {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return false
	case raw[0] == '"':
		return bytes.IndexByte(raw, '\\') < 0
	case raw[0] == 't' || raw[0] == 'f':
		return true
	}
	_, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil && string(raw) != "-0"
}

// plainText returns what is written where a value is plain.
func plainText(v value.Value) (string, bool) {
	switch {
	case v.IsString():
		return `"` + v.AsString() + `"`, true
	case v.IsBool():
		return strconv.FormatBool(v.AsBool()), true
	case v.IsInt():
		return strconv.FormatInt(v.AsInt(), 10), true
	}
	return "", false
}
