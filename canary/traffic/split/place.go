package split

import (
	"fmt"
	"maps"
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// node is a JSON object of a route and where it is. Errors name the place, so that people find it.
type node struct {
	at     string
	fields map[string]any
}

func (n node) path(field string) string {
	if n.at == "" {
		return field
	}
	return n.at + "." + field
}

// object returns a field that is an object; false where it is absent or null.
func (n node) object(field string) (node, bool, error) {
	value := n.fields[field]
	if value == nil {
		return node{}, false, nil
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return node{}, false, fmt.Errorf("%s is not an object", n.path(field))
	}
	return node{n.path(field), fields}, true, nil
}

// objects returns a field that is a list of objects; none where it is absent or null.
func (n node) objects(field string) ([]node, error) {
	value := n.fields[field]
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", n.path(field))
	}
	nodes := make([]node, 0, len(list))
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", n.path(field), i)
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an object", at)
		}
		nodes = append(nodes, node{at, fields})
	}
	return nodes, nil
}

// text returns a field that is a string, "" where it is something else.
func (n node) text(field string) string {
	s, _ := n.fields[field].(string)
	return s
}

// with returns a copy with another value of a field; nil removes it. Other values are shared with the original, so
// what is written in the end is copied once more.
func (n node) with(field string, value any) node {
	fields := maps.Clone(n.fields)
	if fields == nil {
		fields = map[string]any{}
	}
	if value == nil {
		delete(fields, field)
	} else {
		fields[field] = value
	}
	return node{n.at, fields}
}

func listOf(nodes []node) []any {
	list := make([]any, len(nodes))
	for i, n := range nodes {
		list[i] = n.fields
	}
	return list
}

// whole returns a number that has no fraction: 7 and 7.0, but not 7.5.
func whole(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}

func copied(route *unstructured.Unstructured) (node, *unstructured.Unstructured) {
	c := route.DeepCopy()
	if c.Object == nil {
		c.Object = map[string]any{}
	}
	return node{"", c.Object}, c
}

// namespaceOf returns the route's namespace.
func namespaceOf(root node) string {
	metadata, _, _ := root.object("metadata")
	return metadata.text("namespace")
}

// annotationsOf returns the annotations of a route; nil where there are none.
func annotationsOf(root node) (map[string]any, error) { return marksOf(root, "annotations") }

// setRecord sets RecordAnnotation; "" removes it, and the annotations where nothing else is in them.
func setRecord(root node, value string) error {
	return mark(root, "annotations", RecordAnnotation, value)
}

// marksOf returns the annotations or the labels of a route.
func marksOf(root node, field string) (map[string]any, error) {
	metadata, ok, err := root.object("metadata")
	if !ok || err != nil {
		return nil, err
	}
	marks, _, err := metadata.object(field)
	return marks.fields, err
}

// mark sets an annotation or a label; "" removes it, and all of them where it is the last.
func mark(root node, field, key, value string) error {
	marks, err := marksOf(root, field)
	if err != nil {
		return err
	}
	metadata, _ := root.fields["metadata"].(map[string]any)
	_, there := marks[key]
	switch {
	case value == "" && !there:
	case value == "" && len(marks) == 1:
		delete(metadata, field)
	case value == "":
		delete(marks, key)
	case marks != nil:
		marks[key] = value
	case metadata != nil:
		metadata[field] = map[string]any{key: value}
	default:
		root.fields["metadata"] = map[string]any{field: map[string]any{key: value}}
	}
	return nil
}
