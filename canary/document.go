package canary

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// document is JSON that can be written with sorted keys and without some of its values. Nothing in it
// is decoded that does not have to be: decoding and encoding again took a quarter of the CPU of a held
// request and three quarters of its allocations. The standard library offers no other way as long as
// jsontext is an experiment.
type document struct {
	text []byte
	at   int // how far it was read
	// values are in the order of the text: an array is followed by its elements, an object by the name and
	// the value of each member.
	values []value
	// members are those of the objects that are being looked at, the outer ones first.
	members []member
}

// value is a value or a member's name.
type value struct {
	from, to int  // its scalar or opening bracket in the text
	plain    bool // a string without escapes that encoding/json writes without escapes
	end      int  // the index of the value behind it and what is in it
	leftOut  bool
}

type member struct {
	name  []byte // decoded
	value int    // its index; that of the name is one less
}

// readDocument reads JSON that is an object or null. It may be nested 10,000 deep, as in encoding/json.
func readDocument(text []byte) (*document, error) {
	if !json.Valid(text) {
		return nil, errors.New("it is not JSON")
	}
	d := &document{text: text, values: make([]value, 0, len(text)/16)}
	d.next()
	d.read()
	if root := text[d.values[0].from]; root != '{' && root != 'n' {
		return nil, errors.New("it is not an object")
	}
	return d, nil
}

// read reads what is in the last value.
func (d *document) read() {
	at := len(d.values) - 1
	switch d.text[d.values[at].from] {
	case '{':
		for d.next() {
			d.next()
			d.read()
		}
	case '[':
		for d.next() {
			d.read()
		}
	}
	d.values[at].end = len(d.values)
}

// next adds a value with the next token. It returns false where that closes an object or array. As the
// text is valid, commas and colons tell nothing.
func (d *document) next() bool {
	for isSeparator(d.text[d.at]) {
		d.at++
	}
	v := value{from: d.at}
	d.at++
	switch d.text[v.from] {
	case '}', ']':
		return false
	case '{', '[':
	case '"':
		v.plain = true
		for ; d.text[d.at] != '"'; d.at++ {
			v.plain = v.plain && isPlain(d.text[d.at])
			if d.text[d.at] == '\\' {
				d.at++
			}
		}
		d.at++
	default:
		for d.at < len(d.text) && !isSeparator(d.text[d.at]) && d.text[d.at] != '}' && d.text[d.at] != ']' {
			d.at++
		}
	}
	v.to = d.at
	d.values = append(d.values, v)
	return true
}

func isSeparator(c byte) bool {
	return c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

func isPlain(c byte) bool {
	return c != '\\' && c != '<' && c != '>' && c != '&' && c < utf8.RuneSelf
}

func (d *document) token(at int) []byte { return d.text[d.values[at].from:d.values[at].to] }

// decoded returns the content of a string.
func (d *document) decoded(at int) []byte {
	token := d.token(at)
	if d.values[at].plain {
		return token[1 : len(token)-1]
	}
	var s string
	_ = json.Unmarshal(token, &s) // it is a valid string
	return []byte(s)
}

// membersOf adds the members of an object to d.members and returns them. A value of another kind has none.
func (d *document) membersOf(object int) []member {
	first := len(d.members)
	if d.text[d.values[object].from] == '{' {
		for at := object + 1; at < d.values[object].end; at = d.values[at+1].end {
			d.members = append(d.members, member{name: d.decoded(at), value: at + 1})
		}
	}
	return d.members[first:]
}

// member returns the index of a member's value, 0 where there is none. The last of duplicates counts.
func (d *document) member(object int, name string) int {
	found := 0
	for _, m := range d.membersOf(object) {
		if string(m.name) == name {
			found = m.value
		}
	}
	d.members = d.members[:0]
	return found
}

// leaveOut leaves out a member of an object's field, and the field where nothing else is in it.
func (d *document) leaveOut(object int, field, name string) {
	entries := d.member(object, field)
	if entries == 0 {
		return
	}
	d.values[entries].leftOut = true
	for _, m := range d.membersOf(entries) {
		if string(m.name) == name {
			d.values[m.value].leftOut = true
		} else {
			d.values[entries].leftOut = false
		}
	}
	d.members = d.members[:0]
}

// write appends the value at an index.
func (d *document) write(out []byte, at int) []byte {
	switch v := d.values[at]; d.text[v.from] {
	case '{':
		return d.writeObject(out, at)
	case '[':
		out = append(out, '[')
		for element := at + 1; element < v.end; element = d.values[element].end {
			if element > at+1 {
				out = append(out, ',')
			}
			out = d.write(out, element)
		}
		return append(out, ']')
	case '"':
		return d.writeString(out, at)
	default:
		return append(out, d.token(at)...)
	}
}

func (d *document) writeObject(out []byte, at int) []byte {
	out = append(out, '{')
	empty := len(out)
	outer := len(d.members)
	members := d.membersOf(at)
	slices.SortStableFunc(members, byName)
	for i, m := range members {
		if d.values[m.value].leftOut || i+1 < len(members) && byName(m, members[i+1]) == 0 {
			continue // of duplicates the last one counts
		}
		if len(out) > empty {
			out = append(out, ',')
		}
		out = append(d.writeString(out, m.value-1), ':')
		out = d.write(out, m.value)
	}
	d.members = d.members[:outer]
	return append(out, '}')
}

func byName(a, b member) int { return bytes.Compare(a.name, b.name) }

// escapes that encoding/json writes, the most frequent ones.
var escapes = [][]byte{[]byte(`\"`), []byte(`\n`), []byte(`\\`), []byte(`\u0026`), []byte(`\u003c`), []byte(`\u003e`)}

// writeString appends a string as encoding/json writes it, which it mostly is already.
func (d *document) writeString(out []byte, at int) []byte {
	token := d.token(at)
	for i := 0; i < len(token) && !d.values[at].plain; i++ {
		if isPlain(token[i]) {
			continue
		}
		known := slices.IndexFunc(escapes, func(escape []byte) bool { return bytes.HasPrefix(token[i:], escape) })
		if known < 0 {
			encoded, _ := json.Marshal(string(d.decoded(at))) // every string has an encoding
			return append(out, encoded...)
		}
		i += len(escapes[known]) - 1
	}
	return append(out, token...)
}
