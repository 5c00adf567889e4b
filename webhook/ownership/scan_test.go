package ownership

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

func TestValuesAreFoundInRawObjects(t *testing.T) {
	raw := json.RawMessage(`{ "spec" : {"list":[ {"name":"a","value":1} , {"name":"a","value":2},{"name":"\u0062","value":{"x":[]}}, 7],
		"ports":[{"containerPort":80},{"containerPort":80,"protocol":"UDP"}],
		"set":["x","y\"]",3 ], "text":"a \"}\" b\\", "\u006ey":null, "empty":{}, "twice":1, "twice":2}}`)
	o := &object{document: newDocument(raw)}
	key := func(fields ...any) *value.FieldList { return fieldpath.KeyByFields(fields...) }
	tests := map[string]struct {
		path []any
		want []string
	}{
		"a text":                         {[]any{"spec", "text"}, []string{`"a \"}\" b\\"`}},
		"an escaped name":                {[]any{"spec", "ny"}, []string{`null`}},
		"an empty object":                {[]any{"spec", "empty"}, []string{`{}`}},
		"nothing in it":                  {[]any{"spec", "empty", "x"}, nil},
		"nothing in a text":              {[]any{"spec", "text", "x"}, nil},
		"the last of two members":        {[]any{"spec", "twice"}, []string{`2`}},
		"all items of a key":             {[]any{"spec", "list", key("name", "a"), "value"}, []string{`1`, `2`}},
		"an item by an escaped key":      {[]any{"spec", "list", key("name", "b"), "value", "x"}, []string{`[]`}},
		"an item whose key is a default": {[]any{"spec", "ports", key("containerPort", 80, "protocol", "TCP")}, []string{`{"containerPort":80}`}},
		"an item with both keys":         {[]any{"spec", "ports", key("containerPort", 80, "protocol", "UDP"), "protocol"}, []string{`"UDP"`}},
		"no such item":                   {[]any{"spec", "ports", key("containerPort", 81, "protocol", "TCP")}, nil},
		"an element":                     {[]any{"spec", "set", value.NewValueInterface(`y"]`)}, []string{`"y\"]"`}},
		"a number":                       {[]any{"spec", "set", value.NewValueInterface(3.0)}, []string{`3`}},
		"an index":                       {[]any{"spec", "set", 1}, []string{`"y\"]"`}},
		"an index too far":               {[]any{"spec", "set", 3}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, raw := range o.at(fieldpath.MakePathOrDie(test.path...)) {
				got = append(got, string(raw))
			}
			require.Equal(t, test.want, got)

			require.Equal(t, test.want, indexed(raw, fieldpath.MakePathOrDie(test.path...)))
		})
	}
}

func TestEqualGoesByValue(t *testing.T) {
	one := func(text string) [][]byte { return [][]byte{[]byte(text)} }
	require.True(t, equal(one(`{"a":1,"b":[2]}`), one(`{ "b": [2.0], "a": 1 }`)))
	require.False(t, equal(one(`{"a":1}`), one(`{"a":"1"}`)))
	require.False(t, equal(one(`[1,2]`), one(`[2,1]`)))
	require.False(t, equal(one(`1`), nil))
}

// FuzzMembers compares with the standard library's decoder, for JSON, and ends, for anything else.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, ` { "a" : [ {"b":"\\\""} , 2 ] , "c":{"d":null} } `, `{"a`, `{"a":`, `[1,2`, `{"a":1,}`, `"\`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := map[string]any{}
		members(raw, func(key, field []byte) {
			var decoded any
			if json.Unmarshal(field, &decoded) == nil {
				got[unescaped(key)] = decoded
			}
		})
		items(raw, func([]byte) {})
		var want map[string]any
		if json.Unmarshal(raw, &want) == nil && want != nil && !reflect.DeepEqual(want, got) {
			t.Fatalf("%s: %v, not %v", raw, got, want)
		}
	})
}

// indexed finds what is at a path by indexes alone.
func indexed(raw []byte, path fieldpath.Path) []string {
	values := [][]byte{raw}
	for _, step := range path {
		var below [][]byte
		for _, value := range values {
			below = append(below, newIndex(value).descend(step)...)
		}
		values = below
	}
	var texts []string
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return texts
}

// What is asked of a large object is found as in a small one.
func TestALargeObjectIsIndexed(t *testing.T) {
	object := map[string]any{"list": []any{}, "set": []any{}, "map": map[string]any{}}
	for i := range 3000 {
		name := fmt.Sprintf("k%04d", i)
		object["list"] = append(object["list"].([]any), map[string]any{"name": name, "value": i})
		object["set"] = append(object["set"].([]any), name)
		object["map"].(map[string]any)[name] = i
	}
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	d := newDocument(raw)
	one := func(path ...any) string {
		values := [][]byte{raw}
		for _, step := range fieldpath.MakePathOrDie(path...) {
			values = d.below(values, step)
		}
		require.Len(t, values, 1)
		return string(values[0])
	}
	for i := range 3000 {
		name := fmt.Sprintf("k%04d", i)
		require.Equal(t, fmt.Sprint(i), one("list", fieldpath.KeyByFields("name", name), "value"))
		require.Equal(t, strconv.Quote(name), one("set", value.NewValueInterface(name)))
		require.Equal(t, fmt.Sprint(i), one("map", name))
	}
	require.Len(t, d.indexes, 4, "the object, and what is in it")
}
