// Package diff says in a few lines how one pod template differs from another.
//
// The rule: one line for each place that differs, the shortest path that names it, in the order of the
// paths. Elements of a list are told apart as strategic merge patches tell them apart (containers and
// env by name, ports by containerPort, ...), so that an inserted container does not make those behind it
// differ. What only one of the two has is one line, however deep it is. Templates hold references to
// Secrets and never their content.
package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/hashing"
)

// Change is one place that differs.
type Change struct {
	// Path like spec.containers[web].image.
	Path string
	// Before and After are the values there: strings as they are, anything else as JSON; nil: there is none.
	Before, After *string
}

// ConfigPath is the path that stands for sluice's digest of the config that a template refers to.
const ConfigPath = "config"

// Templates returns how a pod template differs from the one before.
func Templates(before, after json.RawMessage) ([]Change, error) {
	a, err := decode(before)
	if err != nil {
		return nil, err
	}
	b, err := decode(after)
	if err != nil {
		return nil, err
	}
	var changes []Change
	if x, y := takeDigest(a), takeDigest(b); x != y {
		changes = append(changes, Change{ConfigPath, shortDigest(x), shortDigest(y)})
	}
	return compare(changes, "", a, b), nil
}

// ShortDigest returns the end of a config digest, which is enough to tell two apart, and whether config is pinned.
func ShortDigest(digest string) string {
	plain := hashing.Plain(digest)
	short := plain[max(0, len(plain)-8):]
	if len(hashing.Pinned(digest)) > 0 {
		short += " (pinned)"
	}
	return short
}

func shortDigest(digest string) *string {
	if digest == "" {
		return nil
	}
	digest = ShortDigest(digest)
	return &digest
}

func decode(template json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(template))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("decoding a pod template: %w", err)
	}
	metadata, _ := fields["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(metadata, "creationTimestamp") // null, or not there
	return fields, nil
}

// takeDigest removes the digest, and the annotations where nothing else is in them.
func takeDigest(template map[string]any) string {
	metadata, _ := template["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	digest, _ := annotations[hashing.AnnotationConfigHash].(string)
	delete(annotations, hashing.AnnotationConfigHash)
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	return digest
}

func compare(changes []Change, path string, before, after any) []Change {
	switch a := before.(type) {
	case map[string]any:
		if b, ok := after.(map[string]any); ok {
			return compareKeys(changes, path, a, b, field)
		}
	case []any:
		if b, ok := after.([]any); ok {
			return compareLists(changes, path, a, b)
		}
	}
	return compareValues(changes, path, before, after)
}

func compareValues(changes []Change, path string, before, after any) []Change {
	if reflect.DeepEqual(before, after) {
		return changes
	}
	x, y := show(before), show(after)
	if x != nil && y != nil && *x == *y { // "80" and 80
		x, y = encode(before), encode(after)
	}
	return append(changes, Change{path, x, y})
}

// missing is the value of a key that is not there; null is one that is.
type missing struct{}

// compareKeys compares what stands under the same key.
func compareKeys(changes []Change, path string, a, b map[string]any, name func(path, key string) string) []Change {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		x, inA := a[key]
		y, inB := b[key]
		if !inA {
			x = missing{}
		}
		if !inB {
			y = missing{}
		}
		changes = compare(changes, name(path, key), x, y)
	}
	return changes
}

// mergeKeys are the fields by which elements are told apart, in the order in which they are tried.
var mergeKeys = []string{"name", "mountPath", "containerPort", "devicePath", "topologyKey", "uid", "ip"}

func compareLists(changes []Change, path string, a, b []any) []Change {
	for _, key := range mergeKeys {
		x, okA := keyed(a, key)
		y, okB := keyed(b, key)
		if okA && okB {
			return compareKeys(changes, path, x, y, element)
		}
	}
	if values(a) || values(b) {
		return compareValues(changes, path, a, b) // a command line is read as a whole
	}
	for i := range max(len(a), len(b)) {
		changes = compare(changes, element(path, strconv.Itoa(i)), at(a, i), at(b, i))
	}
	return changes
}

// keyed returns the elements by the value of a field, if all have one of their own.
func keyed(list []any, key string) (map[string]any, bool) {
	found := map[string]any{}
	for _, item := range list {
		fields, _ := item.(map[string]any)
		value, ok := fields[key]
		if !ok {
			return nil, false
		}
		found[*show(value)] = item
	}
	return found, len(found) == len(list)
}

// values tells whether a list holds something other than objects.
func values(list []any) bool {
	for _, item := range list {
		if _, ok := item.(map[string]any); !ok {
			return true
		}
	}
	return false
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

// field extends a path by a key; a key that would not read as one part stands in brackets.
func field(path, key string) string {
	for _, c := range key {
		if c == '.' || c == '/' || c == '[' {
			return element(path, key)
		}
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func element(path, key string) string { return path + "[" + key + "]" }

// show returns a value as text, nil for one that is missing.
func show(value any) *string {
	switch v := value.(type) {
	case missing:
		return nil
	case string:
		return &v
	}
	return encode(value)
}

func encode(value any) *string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		fmt.Fprint(&text, value) // what was decoded from JSON can be encoded
	}
	shown := string(bytes.TrimSpace(text.Bytes()))
	return &shown
}
