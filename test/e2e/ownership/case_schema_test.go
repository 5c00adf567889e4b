package ownership

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// 30 and 40: while objects live, one struct of their schema becomes atomic, another granular, and then a version
// goes. No other test has Morphs.
func TestASchemaThatChanges(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	part := func(in, field string, value any) func(manifest) { return set(value, "spec", in, field) }
	make := func(name string, steps ...step) map[verb]object {
		all := map[verb]object{}
		for _, v := range morphs.verbs() {
			o := object{morphs, n.Name, fmt.Sprintf("%s-%s", name, v)}
			o.history(t, steps...)
			all[v] = o
		}
		return all
	}
	turnsAtomic := make("turns-atomic", appliedBy("A", part("turnsAtomic", "number", int64(1))), updated("B", part("turnsAtomic", "word", "a")))
	turnsGranular := make("turns-granular", appliedBy("A", both(part("turnsGranular", "number", int64(1)), part("turnsGranular", "word", "a"))))
	unserved := make("unserved", textByA.inVersion("v1alpha1"), updated("B", labelled("b", "1")))
	probe := object{morphs, n.Name, "probe"}
	probe.history(t, appliedBy("A", part("turnsAtomic", "number", int64(1))))

	schema := strings.NewReplacer("turnsAtomic: {type: object, x-kubernetes-map-type: granular", "turnsAtomic: {type: object, x-kubernetes-map-type: atomic",
		"turnsGranular: {type: object, x-kubernetes-map-type: atomic", "turnsGranular: {type: object, x-kubernetes-map-type: granular")
	kubectl(t, schema.Replace(morphResource(true)), "apply", "--server-side", "-f", "-")
	eventually(t, "the new schema is in force", func() error {
		a := probe.send(t, put, write{manager: "B", user: machine, dryRun: true, edit: part("turnsAtomic", "word", "b")})
		require.NoError(t, a.err)
		if !strings.Contains(fmt.Sprint(a.stored.GetManagedFields()), `"f:turnsAtomic":{}`) {
			return errors.New("the struct is granular")
		}
		return nil
	})
	for v, o := range turnsAtomic {
		acceptanceCase{write: write{edit: set(manifest{"number": int64(1), "word": "b"}, "spec", "turnsAtomic")},
			want: []string{`"A" .spec.turnsAtomic`, `"B" using example.com/v1 .spec.turnsAtomic.word`}, unlike: "an apply names the struct to both; B's claim is still to the part"}.isRefused(t, o, v)
		acceptanceCase{write: write{edit: set("1", text...)}, allowed: true}.passes(t, o, v)
	}
	for v, o := range turnsGranular {
		// To the API server A holds the struct, not its parts: those are anyone's.
		acceptanceCase{write: write{edit: part("turnsGranular", "word", "b")}, allowed: true}.passes(t, o, v)
	}

	// A version that is served no longer can still be converted: its claims count.
	kubectl(t, schema.Replace(morphResource(false)), "apply", "--server-side", "-f", "-")
	eventually(t, "v1alpha1 is served no longer", func() error {
		_, err := probe.client(t, write{user: "root", version: "v1alpha1"}, nil).Get(t.Context(), probe.name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is: %w", err)
		}
		return nil
	})
	for v, o := range unserved {
		acceptanceCase{write: write{edit: set("2", text...)}, want: []string{`"A" .spec.text`}}.isRefused(t, o, v)
		acceptanceCase{write: write{edit: labelled("u", "1")}, allowed: true, then: owns("A", `{"f:spec":{"f:text":{}}}`, true)}.passes(t, o, v)
	}
	// One that is gone cannot: the API server gives up its bookkeeping for objects that have such a claim. Nothing
	// tells who writes, so the write passes.
	kubectl(t, withoutAlpha(schema.Replace(morphResource(false))), "apply", "--server-side", "-f", "-")
	for v, o := range unserved {
		eventually(t, "v1alpha1 is gone", func() error { return o.send(t, v, write{edit: set("2", text...), dryRun: true}).err })
		acceptanceCase{write: write{edit: set("2", text...)}, allowed: true, then: owns("A", `{"f:spec":{"f:text":{}}}`, true)}.passes(t, o, v)
	}
}

// morphResource is the definition of Morphs.
func morphResource(alpha bool) string {
	for _, document := range strings.Split(customResources, "\n---\n") {
		if strings.Contains(document, "morphs.example.com") {
			before, after, _ := strings.Cut(document, "- name: v1alpha1\n    served: true")
			return fmt.Sprintf("%s- name: v1alpha1\n    served: %t%s", before, alpha, after)
		}
	}
	panic("there is no definition of Morphs")
}

func withoutAlpha(definition string) string {
	before, _, _ := strings.Cut(definition, "  - name: v1alpha1")
	return before
}
