package webhook

import (
	"bytes"
	"encoding/json"
)

// objects are the raw object and old object of a review, cut out of its body.
type objects struct {
	object, oldObject json.RawMessage
}

// cutObjects returns a review without its objects, and the objects. They are nearly all of a review
// and are decoded on their own anyway, so that the general decoder does not have to go through them
// twice more: that is half of what a review costs.
//
// It only finds out where a value ends and checks nothing: what it cuts out is for the decoder of
// workloads to judge, and the rest for the decoder of reviews. It returns false for whatever it is not
// sure about; then the review is decoded as a whole.
func cutObjects(body []byte) ([]byte, objects, bool) {
	var found objects
	rest := make([]byte, 0, 2048)
	copied := 0
	ok := members(body, 0, func(key []byte, start, end int) bool {
		if string(key) != "request" {
			return true
		}
		return members(body, start, func(key []byte, start, end int) bool {
			switch string(key) {
			case "object":
				found.object = body[start:end]
			case "oldObject":
				found.oldObject = body[start:end]
			default:
				return true
			}
			rest = append(append(rest, body[copied:start]...), "null"...)
			copied = end
			return true
		})
	})
	return append(rest, body[copied:]...), found, ok
}

// without returns an object with null as the value of one of its members, so that a decoder does not
// have to go through it. Where it is not sure it returns the object as it is.
func without(name string, object []byte) []byte {
	var rest []byte
	copied := 0
	ok := members(object, 0, func(key []byte, start, end int) bool {
		if string(key) == name {
			rest = append(append(rest, object[copied:start]...), "null"...)
			copied = end
		}
		return true
	})
	if !ok {
		return object
	}
	return append(rest, object[copied:]...)
}

// members visits key and extent of each member of the object that begins at an offset. It returns
// false where there is no object, where it is not sure, or where visit says so.
func members(body []byte, at int, visit func(key []byte, start, end int) bool) bool {
	at = skipSpace(body, at)
	if at >= len(body) || body[at] != '{' {
		return false
	}
	for at = skipSpace(body, at+1); at < len(body) && body[at] == '"'; at = skipSpace(body, at+1) {
		end := stringEnd(body, at)
		if end < 0 {
			return false
		}
		key := body[at+1 : end-1]
		at = skipSpace(body, end)
		if bytes.IndexByte(key, '\\') >= 0 || at >= len(body) || body[at] != ':' {
			return false
		}
		start := skipSpace(body, at+1)
		if end = valueEnd(body, start); end < 0 || !visit(key, start, end) {
			return false
		}
		if at = skipSpace(body, end); at >= len(body) || body[at] != ',' {
			break
		}
	}
	return at < len(body) && body[at] == '}'
}

func skipSpace(body []byte, at int) int {
	for at < len(body) && (body[at] == ' ' || body[at] == '\n' || body[at] == '\r' || body[at] == '\t') {
		at++
	}
	return at
}

// stringEnd returns the offset behind the string that begins at an offset, -1 where it does not end.
func stringEnd(body []byte, at int) int {
	for at++; at < len(body); at++ {
		next := bytes.IndexByte(body[at:], '"')
		if next < 0 {
			return -1
		}
		at += next
		escapes := 0
		for body[at-1-escapes] == '\\' { // ends at the opening quote at the latest
			escapes++
		}
		if escapes%2 == 0 {
			return at + 1
		}
	}
	return -1
}

// valueEnd returns the offset behind the value that begins at an offset, -1 where there is none or it
// does not end.
func valueEnd(body []byte, at int) int {
	start, depth := at, 0
	for at < len(body) {
		switch body[at] {
		case '"':
			if at = stringEnd(body, at); at < 0 {
				return -1
			}
			if depth == 0 {
				return at
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth <= 1 {
				return ended(depth, start, at)
			}
			depth--
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return ended(depth, start, at)
			}
		}
		at++
	}
	return -1
}

// ended returns where a value ends that a bracket or a separator ends: it belongs to the value only
// where it closes it.
func ended(depth, start, at int) int {
	switch {
	case depth == 1:
		return at + 1
	case at > start:
		return at
	}
	return -1
}
