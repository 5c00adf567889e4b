package ownership

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// acceptanceCase is a situation with the verdict on it. A and B are protected owners, U is who asks; the
// other managers own by Update and are protected where protect says so. To the API server's field manager
// PUT and the three kinds of patch are one: the whole object that comes of them.
type acceptanceCase struct {
	server   *server // a thing where nil
	past     []step
	prepare  func(manifest) manifest // of what is stored
	write    write
	forge    func(*Review) // what the server does not do of itself
	protect  string
	operator Operator
	mode     Mode // enforce where empty

	want     []string // what is refused: owner, field
	warned   []string
	audited  []string
	allowed  bool // says that want is none on purpose
	wantText string
}

func (c acceptanceCase) run(t *testing.T) {
	s := &things
	if c.server != nil {
		s = c.server
	}
	live := s.history(t, c.past...)
	if c.prepare != nil {
		live = c.prepare(live)
	}
	if c.write.server == nil {
		c.write.server = s
	}
	if c.write.manager == "" {
		c.write.manager = "U"
	}
	review := c.write.review(t, live)
	mode := c.mode
	if mode == "" {
		mode = Enforce
	}
	namespace := map[string]string{ModeAnnotation: string(mode)}
	if c.protect != "" {
		namespace[ProtectAnnotation] = c.protect
	}
	if c.forge != nil {
		c.forge(&review)
	}

	decision, err := decide(review, namespace, c.operator)

	require.NoError(t, err)
	require.Equal(t, c.want, lines(decision.Refused))
	require.Equal(t, c.warned, lines(decision.Warned))
	require.Equal(t, c.audited, lines(decision.Audited))
	require.Equal(t, len(c.want) > 0, decision.Verdict == Denied)
	require.Equal(t, c.allowed, decision.Verdict != Denied, "the case says what it wants")
	require.Contains(t, decision.Message(), c.wantText)
	for _, warning := range decision.Warnings {
		require.LessOrEqual(t, len([]rune(warning)), 256)
	}
	require.NotContains(t, strings.ToLower(decision.Message()), "immutable")
	again, err := decide(review, namespace, c.operator)
	require.NoError(t, err)
	require.Equal(t, decision, again)
}

func lines(conflicts []Conflict) []string {
	var texts []string
	for _, c := range conflicts {
		texts = append(texts, c.Owner.String()+" "+c.Field)
	}
	return texts
}

func runAll(t *testing.T, tests map[string]acceptanceCase) {
	for name, test := range tests {
		t.Run(name, test.run)
	}
}

var (
	item1 = []any{"spec", "list", key{"name", "a"}}
	item2 = []any{"spec", "list", key{"name", "b"}}
	text  = []any{"spec", "text"}
)

func TestLeavesAndSharing(t *testing.T) {
	textByA := applied("A", set("1", text...))
	item := func(k []any, value int64) func(manifest) { return set(value, append(k[:len(k):len(k)], "value")...) }
	runAll(t, map[string]acceptanceCase{
		"1. U changes A's scalar":                {past: []step{textByA}, write: write{edit: set("2", text...)}, want: []string{`"A" .spec.text`}},
		"2. U adds an unowned field, and has it": {past: []step{textByA}, write: write{edit: set(int64(3), "spec", "replicas")}, allowed: true},
		"3. the same, U on another apiVersion": {past: []step{textByA}, write: write{edit: set(int64(3), "spec", "replicas")}, allowed: true,
			forge: replaced(`"apiVersion":"example.com/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas"`, `"apiVersion":"example.com/v2","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas"`)},
		"4. U on v2 changes A's v1 field": {past: []step{textByA}, want: []string{`"A" .spec.text`},
			write: write{edit: both(set("2", text...), set(int64(1), "spec", "replicas"))},
			// A keeps an entry: one that lost everything is gone, like one of a version that is not served.
			prepare: inVersion("A", "example.com/v1alpha1", "spec.text", "spec.struct"), forge: keeps("A", "example.com/v1alpha1", "spec.struct")},
		"4. the same, and A held nothing else": {past: []step{textByA}, want: []string{`"A" .spec.text`},
			write: write{edit: set("2", text...)}, prepare: inVersion("A", "example.com/v1alpha1", "spec.text")},
		"4. U on v2 removes all that B held by Update in v1": {past: []step{textByA, updated("B", set(int64(3), "spec", "replicas"))}, protect: "B",
			prepare: inVersion("B", "example.com/v1alpha1", "spec.replicas"), write: write{edit: unset("spec", "replicas")}, want: []string{`"B" using example.com/v1alpha1 .spec.replicas`}},
		"5. A dropped its claim, the controller owns: A changes it by PUT": {protect: "controller",
			past:  []step{textByA, updated("controller", set("2", text...)), applied("A", set(int64(1), "spec", "replicas"))},
			write: write{manager: "A", edit: set("3", text...)}, want: []string{`"controller" using example.com/v1 .spec.text`}},
		"6. A removes its own field": {past: []step{textByA}, write: write{manager: "A", edit: unset(text...)}, allowed: true},
		"7. U writes the same value": {past: []step{textByA}, write: write{edit: set("1", text...)}, allowed: true},
		"8. U changes the value of A's item": {past: []step{applied("A", item(item1, 1))}, write: write{edit: item(item1, 2)},
			want: []string{`"A" .spec.list[name="a"].value`}},
		"9. U removes a field that A and B own": {past: []step{textByA, applied("B", set("1", text...))}, write: write{edit: unset(text...)},
			want: []string{`"A" .spec.text`, `"B" .spec.text`}},
		"9. A removes a field that A and B own": {past: []step{textByA, applied("B", set("1", text...))}, write: write{manager: "A", edit: unset(text...)},
			want: []string{`"B" .spec.text`}},
		"9. U changes a field that A and B own": {past: []step{textByA, applied("B", set("1", text...))}, write: write{edit: set("2", text...)},
			want: []string{`"A" .spec.text`, `"B" .spec.text`}},
		"11. U overwrites A's item, which the server lets pass": {past: []step{applied("A", both(item(item1, 1), item(item2, 1)))}, write: write{edit: item(item2, 2)},
			want: []string{`"A" .spec.list[name="b"].value`}},
		"12. U removes A's item": {past: []step{applied("A", item(item1, 1)), updated("U", item(item2, 1))}, write: write{edit: unset(item1...)},
			want: []string{`"A" .spec.list[name="a"]`}},
		"12. U removes its own item": {past: []step{applied("A", item(item1, 1)), updated("U", item(item2, 1))}, write: write{edit: unset(item2...)}, allowed: true},
		"12. A removes an item that A and B own": {past: []step{applied("A", item(item1, 1)), applied("B", item(item1, 1)), updated("U", item(item2, 1))}, write: write{manager: "A", edit: unset(item1...)},
			want: []string{`"B" .spec.list[name="a"]`}},
		"14. A removes what it alone owns":   {past: []step{textByA, updated("U", item(item1, 1))}, write: write{manager: "A", edit: unset(text...)}, allowed: true},
		"14. A removes it without a manager": {past: []step{textByA}, write: write{manager: "A", unnamed: true, edit: unset(text...)}, allowed: true, warned: []string{`"A" .spec.text`}},
	})
}

func TestStructures(t *testing.T) {
	list := func(field string, values ...any) func(manifest) {
		return set(append([]any{}, values...), "spec", field)
	}
	free := func(words ...string) func(manifest) {
		return func(o manifest) {
			for _, word := range words {
				set(word, "b", "c", string(word[0]))(o)
			}
		}
	}
	emptyDir := []any{"spec", "template", "spec", "volumes", key{"name", "tmp"}, "emptyDir"}
	structOf := func(field string, value any) func(manifest) { return set(value, "spec", "struct", field) }
	numberByA := applied("A", structOf("number", int64(1)))
	twice := []any{manifest{"name": "X", "value": "1"}, manifest{"name": "X", "value": "2"}}
	env := append(image("app")[:5:5], "env")
	runAll(t, map[string]acceptanceCase{
		"15. U adds a key to A's atomic map": {past: []step{applied("A", set("1", "spec", "atomicMap", "a"))}, write: write{edit: set("1", "spec", "atomicMap", "b")},
			want: []string{`"A" .spec.atomicMap`}},
		"16. without a schema: a leaf": {server: &unknowns, past: []step{applied("A", set("1", "text"))}, write: write{edit: set("2", "text")}, want: []string{`"A" .text`}},
		"16. without a schema: three leaves of a struct": {server: &unknowns, past: []step{applied("A", free("d1", "e1", "f1"))}, write: write{edit: free("d2", "e2", "f2")},
			want: []string{`"A" .b.c.d`, `"A" .b.c.e`, `"A" .b.c.f`}},
		"18. U adds an element to A's set": {past: []step{applied("A", list("set", "a", "b"))}, write: write{edit: list("set", "a", "b", "c")}, allowed: true},
		"18. U removes an element of A's set": {past: []step{applied("A", list("set", "a", "b"))}, write: write{edit: list("set", "a")},
			want: []string{`"A" .spec.set[="b"]`}},
		"19. U reorders A's set": {past: []step{applied("A", list("set", "a", "b"))}, write: write{edit: list("set", "b", "a")}, allowed: true},
		"19. U reorders A's containers": {server: &deployments, past: []step{applied("A", both(set("1", image("app")...), set("1", image("proxy")...)))},
			write: write{edit: func(o manifest) { reverse(o, "spec", "template", "spec", "containers") }}, allowed: true},
		"21. U adds to a list in A's list": {past: []step{applied("A", set([]any{"1"}, "spec", "listOfLists", key{"name", "a"}, "values"))},
			write: write{edit: set([]any{"1", "2"}, "spec", "listOfLists", key{"name", "a"}, "values")}, allowed: true},
		"21. U removes from a list in A's list": {past: []step{applied("A", set([]any{"1", "2"}, "spec", "listOfLists", key{"name", "a"}, "values"))},
			write: write{edit: set([]any{"2"}, "spec", "listOfLists", key{"name", "a"}, "values")}, want: []string{`"A" .spec.listOfLists[name="a"].values[="1"]`}},
		"21. U adds to a list in A's map": {past: []step{applied("A", set([]any{"1"}, "spec", "mapOfLists", "a"))},
			write: write{edit: set([]any{"1", "2"}, "spec", "mapOfLists", "a")}, allowed: true},
		"21. U removes from a list in A's map": {past: []step{applied("A", set([]any{"1", "2"}, "spec", "mapOfLists", "a"))},
			write: write{edit: set([]any{"1"}, "spec", "mapOfLists", "a")}, want: []string{`"A" .spec.mapOfLists.a[="2"]`}},
		"22. U changes a value in A's map of maps": {past: []step{applied("A", set("1", "spec", "mapOfMaps", "a", "b"))},
			write: write{edit: set("2", "spec", "mapOfMaps", "a", "b")}, want: []string{`"A" .spec.mapOfMaps.a.b`}},
		"22. U adds a key to A's map of maps": {past: []step{applied("A", set("1", "spec", "mapOfMaps", "a", "b"))},
			write: write{edit: set("1", "spec", "mapOfMaps", "a", "c")}, allowed: true},
		"24. the controller took over what A applied: A sets it again by PUT": {protect: "controller",
			past:  []step{applied("A", structOf("word", "a")), updated("controller", both(structOf("word", "b"), structOf("number", int64(2))))},
			write: write{manager: "A", edit: structOf("word", "a")}, want: []string{`"controller" using example.com/v1 .spec.struct.word`}},
		"26. two entries of one key: another field changes": {server: &deployments, protect: "A",
			past: []step{updated("A", both(set("1", image("app")...), set(twice, env...)))}, write: write{edit: set(int64(2), "spec", "replicas")}, allowed: true},
		"26. two entries of one key: U removes one": {server: &deployments, protect: "A",
			past: []step{updated("A", both(set("1", image("app")...), set(twice, env...)))}, write: write{edit: set(twice[:1], env...)},
			want: []string{`"A" using apps/v1 .spec.template.spec.containers[name="app"].env[name="X"]`}},
		"26. two entries of one key: U removes both": {server: &deployments, protect: "A",
			past: []step{updated("A", both(set("1", image("app")...), set(twice, env...)))}, write: write{edit: unset(env...)},
			want: []string{`"A" using apps/v1 .spec.template.spec.containers[name="app"].env`}},
		"27. U keeps A's emptyDir: {}": {server: &deployments, past: []step{applied("A", set(manifest{}, emptyDir...))}, write: write{edit: set("1", "metadata", "labels", "a")}, allowed: true},
		"27. U removes A's emptyDir: {}": {server: &deployments, past: []step{applied("A", set(manifest{}, emptyDir...))}, write: write{edit: unset(emptyDir...)},
			want: []string{`"A" .spec.template.spec.volumes[name="tmp"].emptyDir`}},
		"28. U removes a port of A's container": {server: &deployments, past: []step{applied("A", portOf("app"))}, write: write{edit: unset(append(image("app")[:5:5], "ports")...)},
			want: []string{`"A" .spec.template.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]`}},
		"28. A removes a port of its container": {server: &deployments, past: []step{applied("A", portOf("app"))},
			write: write{manager: "A", edit: unset(append(image("app")[:5:5], "ports")...)}, allowed: true},
		"30. a struct became atomic: U changes another part of it": {past: []step{numberByA, updated("U", structOf("word", "a"))},
			write: write{server: &atomicThings, edit: structOf("word", "b")}, want: []string{`"A" .spec.struct`}},
		"30. a struct became atomic: U changes another field": {past: []step{numberByA}, write: write{server: &atomicThings, edit: set("1", text...)}, allowed: true},
		"30. a struct became granular: U adds a part": {server: &atomicThings, past: []step{numberByA},
			write: write{server: &things, edit: structOf("word", "b")}, allowed: true},
		"30. a struct became granular: U changes A's part": {server: &atomicThings, past: []step{applied("A", both(structOf("number", int64(1)), structOf("word", "a")))},
			write: write{server: &things, edit: structOf("word", "b")}, allowed: true}, // to the API server it always was
		"31. U changes a field of A's that no schema knows": {past: []step{applied("A", set("1", "spec", "free", "later"))}, write: write{edit: set("2", "spec", "free", "later")},
			want: []string{`"A" .spec.free.later`}},
	})
}

func portOf(container string) func(manifest) {
	return set([]any{manifest{"containerPort": int64(80), "protocol": "TCP"}}, append(image(container)[:5:5], "ports")...)
}

func reverse(o manifest, path ...any) {
	holder, last := at(o, path[:len(path)-1]), path[len(path)-1].(string)
	var turned []any
	for _, item := range holder[last].([]any) {
		turned = append([]any{item}, turned...)
	}
	holder[last] = turned
}

// replaced returns what changes the new object's text, once.
func replaced(old, with string) func(*Review) {
	return func(r *Review) {
		changed := strings.Replace(string(r.New), old, with, 1)
		if changed == string(r.New) {
			panic("the new object has no " + old)
		}
		r.New = []byte(changed)
	}
}

// inVersion returns what makes the claims of a manager ones in another version.
func inVersion(manager, version string, fields ...string) func(manifest) manifest {
	return func(o manifest) manifest {
		return withClaims(o, reclaimed(claims(o), manager, version, fields))
	}
}

func keeps(manager, version string, fields ...string) func(*Review) {
	return func(r *Review) {
		o := decodedObject(r.New)
		entries := append(claims(o), metav1.ManagedFieldsEntry{})
		entries[len(entries)-1].Manager = manager
		entries[len(entries)-1].Operation = metav1.ManagedFieldsOperationApply
		r.New = raw(panics{}, withClaims(o, reclaimed(entries, manager, version, fields)))
	}
}
