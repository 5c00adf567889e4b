package manifests_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
)

// A change that the condition did not see would roll out ungated. So every leaf
// of a filled-in template is changed in turn, quantities and ports included,
// which are structs in Go and scalars in JSON.
func TestNoChangeOfATemplateGoesUnseen(t *testing.T) {
	gate := entries(t)["mutating workloads.sluice.dev"].MatchConditions[1]
	seen := compile(t, compiler(t, nil), expression{text: gate.Expression, types: []*celgo.Type{celgo.BoolType}})
	old := filledIn(t)
	content, err := json.Marshal(old.Spec.Template)
	require.NoError(t, err)
	var tree map[string]any
	require.NoError(t, json.Unmarshal(content, &tree))

	current := web()
	current.Spec.Template = *old.Spec.Template.DeepCopy()
	values, _ := evaluate(t, seen, write{resource: "deployments", old: old, new: current})
	require.Equal(t, false, values[0], "unchanged")

	changed := 0
	forEachLeaf(tree, "template", func(path string) {
		altered, err := json.Marshal(tree)
		require.NoError(t, err)
		current.Spec.Template = corev1.PodTemplateSpec{}
		if json.Unmarshal(altered, &current.Spec.Template) != nil {
			return
		}
		if equality.Semantic.DeepEqual(old.Spec.Template, current.Spec.Template) {
			return
		}
		changed++
		values, _ := evaluate(t, seen, write{resource: "deployments", old: old, new: current})
		require.Equal(t, true, values[0], path)
	})
	require.Greater(t, changed, 500, "the test has lost its subject")
	t.Logf("%d changes seen", changed)
}

// filledIn returns a Deployment whose template has something in every field.
func filledIn(t *testing.T) *appsv1.Deployment {
	t.Helper()
	filler := randfill.New().RandSource(rand.NewSource(1)).NilChance(0).NumElements(1, 1).Funcs(
		func(q *resource.Quantity, _ randfill.Continue) { *q = resource.MustParse("100m") },
		func(p *intstr.IntOrString, _ randfill.Continue) { *p = intstr.FromInt32(80) },
		func(s *metav1.Time, _ randfill.Continue) { *s = metav1.Unix(1700000000, 0) },
		func(f *metav1.FieldsV1, _ randfill.Continue) { f.SetRawBytes([]byte(`{}`)) },
		func(s *string, _ randfill.Continue) { *s = "text" },
		func(n *corev1.ResourceName, _ randfill.Continue) { *n = corev1.ResourceCPU },
		func(n *int32, _ randfill.Continue) { *n = 7 },
		func(n *int64, _ randfill.Continue) { *n = 7 },
		func(b *bool, _ randfill.Continue) { *b = true },
	)
	d := web()
	filler.Fill(&d.Spec.Template)
	// Through JSON once, so that only the change under test differs.
	content, err := json.Marshal(d)
	require.NoError(t, err)
	d = &appsv1.Deployment{}
	require.NoError(t, json.Unmarshal(content, d))
	return d
}

// forEachLeaf changes each scalar below node in turn, calls visit, and puts it
// back.
func forEachLeaf(node any, path string, visit func(path string)) {
	switch parent := node.(type) {
	case map[string]any:
		for key, child := range parent {
			changeLeaf(child, path+"."+key, visit, func(value any) { parent[key] = value })
		}
	case []any:
		for i, child := range parent {
			changeLeaf(child, fmt.Sprintf("%s[%d]", path, i), visit, func(value any) { parent[i] = value })
		}
	}
}

func changeLeaf(child any, path string, visit func(string), set func(any)) {
	switch value := child.(type) {
	case string:
		set(otherText(value))
	case float64:
		set(value + 1)
	case bool:
		set(!value)
	default:
		forEachLeaf(child, path, visit)
		return
	}
	visit(path)
	set(child)
}

// otherText keeps a quantity a quantity and a time a time.
func otherText(text string) string {
	if text == "100m" {
		return "200m"
	}
	if len(text) == len("2023-11-14T22:13:20Z") && text[4] == '-' {
		return "2024" + text[4:]
	}
	return text + "x"
}
