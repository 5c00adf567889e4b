package hashing

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
	"sigs.k8s.io/randfill"
)

// References must find what a walk over the whole typed template finds: every value of the eight types that refer to
// config, wherever Kubernetes has put it. A version of k8s.io/api with a new place fails here.
func TestReferencesAgreeWithTheTypes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var template corev1.PodTemplateSpec
		filler(rapid.Int64().Draw(t, "seed")).Fill(&template.Spec)
		template.Spec.EphemeralContainers = nil
		raw, err := json.Marshal(template)
		require.NoError(t, err)

		got, err := References(raw)
		require.NoError(t, err)
		var want walk
		want.value(reflect.ValueOf(template))
		require.Equal(t, merge(want), got, "%s", raw)
	})
}

// filler draws names and keys from a few, so that references meet at one object.
func filler(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 3).Funcs(
		func(s *string, c randfill.Continue) { *s = []string{"", "a", "b", "c"}[c.Intn(4)] },
		func(q *resource.Quantity, _ randfill.Continue) { *q = resource.MustParse("1") },
		func(m *metav1.ObjectMeta, _ randfill.Continue) { *m = metav1.ObjectMeta{Name: "secret"} },
		func(v *intstr.IntOrString, _ randfill.Continue) { *v = intstr.FromInt32(80) },
	)
}

// walk finds references by type.
type walk []Reference

func (w *walk) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.value(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Struct:
		if w.reference(v.Interface()) {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				w.value(v.Field(i))
			}
		}
	}
}

func (w *walk) reference(value any) bool {
	switch at := value.(type) {
	case corev1.ConfigMapVolumeSource:
		w.add(ConfigMap, at.Name, keysOfItems(at.Items), at.Optional)
	case corev1.SecretVolumeSource:
		w.add(Secret, at.SecretName, keysOfItems(at.Items), at.Optional)
	case corev1.ConfigMapProjection:
		w.add(ConfigMap, at.Name, keysOfItems(at.Items), at.Optional)
	case corev1.SecretProjection:
		w.add(Secret, at.Name, keysOfItems(at.Items), at.Optional)
	case corev1.ConfigMapKeySelector:
		w.add(ConfigMap, at.Name, []string{at.Key}, at.Optional)
	case corev1.SecretKeySelector:
		w.add(Secret, at.Name, []string{at.Key}, at.Optional)
	case corev1.ConfigMapEnvSource:
		w.add(ConfigMap, at.Name, nil, at.Optional)
	case corev1.SecretEnvSource:
		w.add(Secret, at.Name, nil, at.Optional)
	default:
		return false
	}
	return true
}

func keysOfItems(items []corev1.KeyToPath) []string {
	var keys []string
	for _, item := range items {
		keys = append(keys, item.Key)
	}
	return keys
}

func (w *walk) add(kind Kind, name string, keys []string, optional *bool) {
	if name == "" {
		return
	}
	ref := Reference{Kind: kind, Name: name, Keys: keys, Optional: optional != nil && *optional}
	if !ref.Optional {
		ref.Required = keys
	}
	*w = append(*w, ref)
}

// No type that refers to config may hide below a name that the quick look does not know.
func TestEveryFieldThatRefersToConfigIsMentioned(t *testing.T) {
	seen := map[reflect.Type]bool{}
	fields := map[string]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(typ.Elem())
		case reflect.Struct:
			if seen[typ] {
				return
			}
			seen[typ] = true
			for i := range typ.NumField() {
				field := typ.Field(i)
				if field.Type.Kind() == reflect.Pointer && new(walk).reference(reflect.Zero(field.Type.Elem()).Interface()) {
					fields[field.Tag.Get("json")] = true
				}
				visit(field.Type)
			}
		}
	}
	visit(reflect.TypeFor[corev1.PodSpec]())
	require.Len(t, fields, 6, "configMap, secret and their KeyRef and Ref")
	for tag := range fields {
		require.True(t, mentionsConfig([]byte(`"`+tag)), tag)
	}
}
