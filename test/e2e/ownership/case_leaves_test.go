package ownership

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	item1    = []any{"spec", "list", key{"name", "a"}}
	item2    = []any{"spec", "list", key{"name", "b"}}
	text     = []any{"spec", "text"}
	replicas = []any{"spec", "replicas"}
	three    = appliedBy("A", set(int64(3), replicas...))
	five     = set(int64(5), replicas...)
	textByA  = appliedBy("A", set("1", text...))
)

func value(item []any, to int64) func(manifest) {
	return set(to, append(item[:len(item):len(item)], "value")...)
}

// owns requires that one entry of a manager holds what this JSON says, or none.
func owns(manager, fields string, want bool) func(*testing.T, *unstructured.Unstructured) {
	return func(t *testing.T, stored *unstructured.Unstructured) {
		t.Helper()
		found := false
		for _, e := range stored.GetManagedFields() {
			found = found || e.Manager == manager && string(e.FieldsV1.GetRawBytes()) == fields
		}
		require.Equal(t, want, found, "%v", stored.GetManagedFields())
	}
}

func TestLeavesAndSharing(t *testing.T) {
	shared := []step{textByA, appliedBy("B", set("1", text...))}
	items := []step{appliedBy("A", value(item1, 1)), updated("U", value(item2, 1))}
	taken := []step{textByA, updated("controller", set("2", text...)), appliedBy("A", set(int64(1), replicas...))}
	runAll(t, map[string]acceptanceCase{
		"1. U changes A's scalar":                                {past: []step{textByA}, write: write{edit: set("2", text...)}, want: []string{`"A" .spec.text`}},
		"2. U adds an unowned field, and has it":                 {past: []step{textByA}, write: write{edit: five}, allowed: true, then: owns("U", `{"f:spec":{"f:replicas":{}}}`, true)},
		"3. U adds an unowned field in another version":          {past: []step{textByA}, write: write{version: "v2", edit: five}, allowed: true, then: owns("U", `{"f:spec":{"f:replicas":{}}}`, true)},
		"4. U on v2 changes A's field of v1":                     {past: []step{textByA}, write: write{version: "v2", edit: set("2", text...)}, want: []string{`"A" .spec.text`}},
		"4. U on v1 changes A's field of v2":                     {past: []step{updated("U", set("1", text...)), three.inVersion("v2")}, write: write{edit: five}, want: aReplicas},
		"4. U on v1 removes B's field of v2":                     {past: []step{textByA, updated("B", five).inVersion("v2")}, write: write{edit: unset(replicas...)}, want: []string{`"B" using example.com/v2 .spec.replicas`}, unlike: removal},
		"5. A dropped its claim, the controller owns: A changes": {past: taken, write: write{manager: "A", edit: set("3", text...)}, want: []string{`"controller" using example.com/v1 .spec.text`}},
		"6. A removes its own field":                             {past: []step{textByA, updated("U", five)}, write: write{manager: "A", edit: unset(text...)}, allowed: true},
		"7. U writes the same value, and has no part in it":      {past: []step{textByA}, write: write{edit: set("1", text...)}, allowed: true, then: owns("U", `{"f:spec":{"f:text":{}}}`, false)},
		"8. U changes the value of A's item":                     {past: []step{appliedBy("A", value(item1, 1))}, write: write{edit: value(item1, 2)}, want: []string{`"A" .spec.list[name="a"].value`}},
		"9. U removes a field that A and B own":                  {past: shared, write: write{edit: unset(text...)}, want: []string{`"A" .spec.text`, `"B" .spec.text`}, unlike: removal},
		"9. A removes a field that A and B own":                  {past: shared, write: write{manager: "A", edit: unset(text...)}, want: []string{`"B" .spec.text`}, unlike: removal},
		"9. U changes a field that A and B own":                  {past: shared, write: write{edit: set("2", text...)}, want: []string{`"A" .spec.text`, `"B" .spec.text`}},
		"11. U overwrites A's item, which the server lets pass":  {past: []step{appliedBy("A", both(value(item1, 1), value(item2, 1)))}, write: write{edit: value(item2, 2)}, want: []string{`"A" .spec.list[name="b"].value`}},
		"12. U removes A's item":                                 {past: items, write: write{edit: unset(item1...)}, want: []string{`"A" .spec.list[name="a"]`}, unlike: removal},
		"12. U removes its own item":                             {past: items, write: write{edit: unset(item2...)}, allowed: true},
		"12. A removes an item that A and B own": {past: append(items[:2:2], appliedBy("B", value(item1, 1))), write: write{manager: "A", edit: unset(item1...)},
			want: []string{`"B" .spec.list[name="a"]`}, unlike: removal},
		"14. A removes what it alone owns": {past: []step{textByA, updated("U", value(item1, 1))}, write: write{manager: "A", edit: unset(text...)}, allowed: true},
		// The user agent says A, but of a plain removal the API server enters nobody, and tells a webhook nothing of the agent.
		"14. A removes it without naming itself": {past: []step{textByA, updated("U", value(item1, 1))}, write: write{manager: "A", unnamed: true, edit: unset(text...)}, allowed: true,
			warned: []string{`sluice: this write takes .spec.text from "A"`}},
		"61. two owners, of two fields and one": {past: []step{appliedBy("B", five), appliedBy("A", both(set("1", text...), value(item1, 1)))}, write: write{edit: both(set("2", text...), value(item1, 2), set(int64(6), replicas...))},
			want: []string{`"A" .spec.text`, `"A" .spec.list[name="a"].value`, `"B" .spec.replicas`}},
	})
}

var aReplicas = []string{`"A" .spec.replicas`}

func TestStructures(t *testing.T) {
	list := func(field string, values ...any) func(manifest) {
		return set(append([]any{}, values...), "spec", field)
	}
	nested := func(values ...any) func(manifest) {
		return set(append([]any{}, values...), "spec", "listOfLists", key{"name", "a"}, "values")
	}
	inMap := func(values ...any) func(manifest) {
		return set(append([]any{}, values...), "spec", "mapOfLists", "a")
	}
	maps := func(name, value string) func(manifest) { return set(value, "spec", "mapOfMaps", "a", name) }
	part := func(field string, value any) func(manifest) { return set(value, "spec", "struct", field) }
	free := func(words ...string) func(manifest) {
		return func(o manifest) {
			for _, word := range words {
				set(word, "b", "c", word[:1])(o)
			}
		}
	}
	ab := appliedBy("A", list("set", "a", "b"))
	retaken := []step{appliedBy("A", part("word", "a")), updated("controller", both(part("word", "b"), part("number", int64(2))))}
	runAll(t, map[string]acceptanceCase{
		"15. U adds a key to A's atomic map":                           {past: []step{appliedBy("A", set("1", "spec", "atomicMap", "a"))}, write: write{edit: set(manifest{"a": "1", "b": "1"}, "spec", "atomicMap")}, want: []string{`"A" .spec.atomicMap`}},
		"15. U adds a part to A's atomic struct":                       {past: []step{appliedBy("A", set("1", "spec", "atomicStruct", "word"))}, write: write{edit: set(manifest{"word": "1", "number": int64(1)}, "spec", "atomicStruct")}, want: []string{`"A" .spec.atomicStruct`}},
		"15. U adds to A's atomic list":                                {past: []step{appliedBy("A", list("atomicList", "a"))}, write: write{edit: list("atomicList", "a", "b")}, want: []string{`"A" .spec.atomicList`}},
		"16. without a schema: a leaf":                                 {kind: &looses, past: []step{appliedBy("A", set("1", "text"))}, write: write{edit: set("2", "text")}, want: []string{`"A" .text`}},
		"16. without a schema: three leaves":                           {kind: &looses, past: []step{appliedBy("A", free("d1", "e1", "f1"))}, write: write{edit: free("d2", "e2", "f2")}, want: []string{`"A" .b.c.d`, `"A" .b.c.e`, `"A" .b.c.f`}},
		"18. U adds an element to A's set":                             {past: []step{ab}, write: write{edit: list("set", "a", "b", "c")}, allowed: true},
		"18. U removes an element of A's set":                          {past: []step{ab}, write: write{edit: list("set", "b")}, want: []string{`"A" .spec.set[="a"]`}, unlike: removal},
		"19. U reorders A's set":                                       {past: []step{ab}, write: write{edit: list("set", "b", "a")}, allowed: true},
		"21. U adds to a list in A's list":                             {past: []step{appliedBy("A", nested("1"))}, write: write{edit: nested("1", "2")}, allowed: true},
		"21. U removes from a list in A's list":                        {past: []step{appliedBy("A", nested("1", "2"))}, write: write{edit: nested("2")}, want: []string{`"A" .spec.listOfLists[name="a"].values[="1"]`}, unlike: removal},
		"21. U adds to a list in A's map":                              {past: []step{appliedBy("A", inMap("1"))}, write: write{edit: inMap("1", "2")}, allowed: true},
		"21. U removes from a list in A's map":                         {past: []step{appliedBy("A", inMap("1", "2"))}, write: write{edit: inMap("1")}, want: []string{`"A" .spec.mapOfLists.a[="2"]`}, unlike: removal},
		"22. U changes a value in A's map of maps":                     {past: []step{appliedBy("A", maps("b", "1"))}, write: write{edit: maps("b", "2")}, want: []string{`"A" .spec.mapOfMaps.a.b`}},
		"22. U adds a key to A's map of maps":                          {past: []step{appliedBy("A", maps("b", "1"))}, write: write{edit: maps("c", "1")}, allowed: true},
		"24. the controller took over what A applied, A sets it again": {past: retaken, write: write{manager: "A", edit: part("word", "a")}, want: []string{`"controller" using example.com/v1 .spec.struct.word`}},
		"31. U changes a field of A's that no schema knows":            {past: []step{appliedBy("A", set("1", "spec", "free", "later"))}, write: write{edit: set("2", "spec", "free", "later")}, want: []string{`"A" .spec.free.later`}},
		"59. U adds a finalizer":                                       {past: []step{appliedBy("A", both(three.write.edit, finalizers("example.com/a")))}, write: write{edit: finalizers("example.com/a", "example.com/b")}, allowed: true},
		"59. U removes A's finalizer":                                  {past: []step{appliedBy("A", both(three.write.edit, finalizers("example.com/a", "example.com/b")))}, write: write{edit: finalizers("example.com/a")}, allowed: true},
		"59. U changes replicas":                                       {past: []step{three}, write: write{edit: five}, want: aReplicas},
		"59. U adds an item":                                           {past: []step{appliedBy("A", value(item1, 1))}, write: write{edit: value(item2, 2)}, allowed: true},
		"60. without a schema: an atomic list":                         {kind: &looses, past: []step{appliedBy("A", set([]any{"1"}, "spec", "list"))}, write: write{edit: set([]any{"1", "2"}, "spec", "list")}, want: []string{`"A" .spec.list`}},
		"60. without a schema: nothing of A's":                         {kind: &looses, past: []step{appliedBy("A", set([]any{"1"}, "spec", "list"))}, write: write{edit: set("1", "spec", "other")}, allowed: true},
		"60. the status, in another version":                           {past: []step{textByA, {put, write{manager: "controller", version: "v2", subresource: "status", edit: set("1", "status", "phase")}}}, write: write{edit: set("2", text...)}, want: []string{`"A" .spec.text`}},
		"58. U writes the status that the controller wrote":            {past: []step{textByA, {put, write{manager: "controller", subresource: "status", edit: set("1", "status", "phase")}}}, write: write{subresource: "status", edit: set("2", "status", "phase")}, allowed: true},
		"58. U removes the status, which it cannot":                    {past: []step{textByA, {put, write{manager: "controller", subresource: "status", edit: set("1", "status", "phase")}}}, write: write{edit: unset("status")}, allowed: true, unsaid: true},
		"41. a write that changes nothing":                             {past: []step{textByA}, write: write{}, allowed: true},
	})
}

func finalizers(names ...any) func(manifest) {
	return set(append([]any{}, names...), "metadata", "finalizers")
}

func labelled(name, value string) func(manifest) { return set(value, "metadata", "labels", name) }

func annotated(name, value string) func(manifest) { return set(value, "metadata", "annotations", name) }

// without drops the entries of a manager from managedFields.
func without(manager string) func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	return func(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		var left []metav1.ManagedFieldsEntry
		for _, e := range entries {
			if e.Manager != manager {
				left = append(left, e)
			}
		}
		return left
	}
}
