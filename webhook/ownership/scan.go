package ownership

import (
	"bytes"
	"encoding/json"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// What follows finds values in JSON that was decoded before, so it is well-formed, and copies nothing:
// decoding the two objects of a review whole is half of the garbage that a decision would make.

// descend returns the values at one step below a value.
func descend(raw []byte, step fieldpath.PathElement) [][]byte {
	switch {
	case step.FieldName != nil:
		if field := member(raw, *step.FieldName); field != nil {
			return [][]byte{field}
		}
		return nil
	case step.Key != nil:
		var all [][]byte
		items(raw, func(item []byte) { all = append(all, item) })
		return keyedOf(all, *step.Key)
	}
	var found [][]byte
	index := 0
	items(raw, func(item []byte) {
		if step.Value != nil && same(item, *step.Value) || step.Index != nil && *step.Index == index {
			found = append(found, item)
		}
		index++
	})
	return found
}

func sameOf(items [][]byte, with value.Value) [][]byte {
	var found [][]byte
	for _, item := range items {
		if same(item, with) {
			found = append(found, item)
		}
	}
	return found
}

// keyedOf returns the items with these keys. A key that has a default may be left out by the object, never by
// a path: where no item has all, one that lacks some, but not all, will do.
func keyedOf(items [][]byte, key value.FieldList) [][]byte {
	var found, lenient [][]byte
	for _, item := range items {
		equal, absent := 0, 0
		for _, k := range key {
			switch field := member(item, k.Name); {
			case field == nil:
				absent++
			case same(field, k.Value):
				equal++
			}
		}
		if equal == len(key) {
			found = append(found, item)
		} else if equal > 0 && equal+absent == len(key) {
			lenient = append(lenient, item)
		}
	}
	if len(found) > 0 {
		return found
	}
	return lenient
}

// same compares a raw value with one of a path.
func same(raw []byte, with value.Value) bool {
	if with.IsString() && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1:len(raw)-1]) == with.AsString()
	}
	decoded, ok := decode(raw)
	return ok && value.Equals(value.NewValueInterface(decoded), with)
}

// equal compares what is at a path in two objects as the API server does: the order of fields does not
// count, and 1 and 1.0 are equal.
func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if bytes.Equal(a[i], b[i]) {
			continue
		}
		before, ok := decode(a[i])
		now, also := decode(b[i])
		if !ok || !also || !value.Equals(value.NewValueInterface(before), value.NewValueInterface(now)) {
			return false
		}
	}
	return true
}

func decode(raw []byte) (any, bool) {
	var decoded any
	err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &decoded)
	return decoded, err == nil
}

// member returns the value of a member of an object, nil where there is none. Of several the last counts.
func member(raw []byte, name string) []byte {
	var found []byte
	members(raw, func(key, field []byte) {
		if string(key) == name || bytes.IndexByte(key, '\\') >= 0 && unescaped(key) == name {
			found = field
		}
	})
	return found
}

func unescaped(key []byte) string {
	var name string
	if json.Unmarshal(append(append([]byte{'"'}, key...), '"'), &name) != nil {
		return ""
	}
	return name
}

// members visits the members of an object; of anything else there are none. Keys come as they are written.
func members(raw []byte, visit func(key, field []byte)) {
	elements(raw, '{', func(at int) int {
		keyEnd := valueEnd(raw, at)
		field := skip(raw, skip(raw, keyEnd)+1) // the colon
		if raw[at] != '"' || keyEnd-at < 2 || field >= len(raw) {
			return len(raw) // not JSON
		}
		end := valueEnd(raw, field)
		visit(raw[at+1:keyEnd-1], raw[field:end])
		return end
	})
}

// items visits the items of a list; of anything else there are none.
func items(raw []byte, visit func(item []byte)) {
	elements(raw, '[', func(at int) int {
		end := valueEnd(raw, at)
		visit(raw[at:end])
		return end
	})
}

// elements calls for the offset of each element of an object or a list, and is told where it ends.
func elements(raw []byte, opening byte, element func(at int) int) {
	at := skip(raw, 0)
	if at >= len(raw) || raw[at] != opening {
		return
	}
	for at = skip(raw, at+1); at < len(raw) && raw[at] != '}' && raw[at] != ']'; {
		at = skip(raw, element(at))
		if at < len(raw) && raw[at] == ',' {
			at = skip(raw, at+1)
		}
	}
}

// skip returns the offset of what comes after white space.
func skip(raw []byte, at int) int {
	for at < len(raw) && (raw[at] == ' ' || raw[at] == '\n' || raw[at] == '\t' || raw[at] == '\r') {
		at++
	}
	return at
}

// valueEnd returns where the value ends that begins at an offset.
func valueEnd(raw []byte, at int) int {
	depth := 0
	for at < len(raw) {
		switch raw[at] {
		case '"':
			at = stringEnd(raw, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		default:
			at++
			if depth == 0 && (at == len(raw) || bytes.IndexByte([]byte(",]} \n\t\r"), raw[at]) >= 0) {
				return at
			}
			continue
		}
		if depth == 0 {
			return at
		}
	}
	return at
}

func stringEnd(raw []byte, at int) int {
	for at++; at < len(raw); {
		quote := bytes.IndexByte(raw[at:], '"')
		if quote < 0 {
			break
		}
		escape := bytes.IndexByte(raw[at:at+quote], '\\')
		if escape < 0 {
			return at + quote + 1
		}
		at += escape + 2
	}
	return len(raw)
}
