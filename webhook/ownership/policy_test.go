package ownership

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"sluice.dev/sluice/canary"
)

func TestFieldsCover(t *testing.T) {
	app := fieldpath.MakePathOrDie("spec", "template", "spec", "containers", fieldpath.KeyByFields("name", "app"), "image")
	port := fieldpath.MakePathOrDie("spec", "ports", fieldpath.KeyByFields("containerPort", 80, "protocol", "TCP"))
	team := fieldpath.MakePathOrDie("metadata", "labels", "example.com/team")
	tests := map[string]struct {
		list string
		path fieldpath.Path
		want bool
	}{
		"the field":                       {".spec.replicas", fieldpath.MakePathOrDie("spec", "replicas"), true},
		"what is below it":                {".spec", fieldpath.MakePathOrDie("spec", "replicas"), true},
		"not what is above it":            {".spec.replicas", fieldpath.MakePathOrDie("spec"), false},
		"not a longer name":               {".spec.rep", fieldpath.MakePathOrDie("spec", "replicas"), false},
		"not a shorter name":              {".spec.replicasX", fieldpath.MakePathOrDie("spec", "replicas"), false},
		"an item":                         {`.spec.template.spec.containers[name="app"].image`, app, true},
		"another item":                    {`.spec.template.spec.containers[name="proxy"].image`, app, false},
		"any item":                        {".spec.template.spec.containers[*].image", app, true},
		"any item, whole":                 {".spec.template.spec.containers[*]", app, true},
		"any item, another field":         {".spec.template.spec.containers[*].args", app, false},
		"an item of two keys":             {`.spec.ports[containerPort=80,protocol="TCP"], .spec.text`, port, true},
		"an element":                      {`.spec.set[="a"]`, fieldpath.MakePathOrDie("spec", "set", value.NewValueInterface("a")), true},
		"a name with dots":                {".metadata.labels.example.com/team", team, true},
		"not a part of a name with dots":  {".metadata.labels.example", team, false},
		"names that begin alike":          {".metadata.labels.example.com/*", team, true},
		"names that begin otherwise":      {".metadata.labels.example.org/*", team, false},
		"all that is in a struct":         {".spec.*", fieldpath.MakePathOrDie("spec", "replicas"), true},
		"the last of several":             {".status , .metadata", team, true},
		"[*] does not stand for a struct": {".spec[*]", fieldpath.MakePathOrDie("spec", "replicas"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fields, err := ParseFields(test.list)
			require.NoError(t, err)
			require.Equal(t, test.want, covered(fields, test.path))
		})
	}
}

// What a refusal prints can be pasted as a field to ignore.
func TestEveryPrintedPathIsAField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deployments.fieldSet(someModel(t).object()).Iterate(func(path fieldpath.Path) {
			fields, err := ParseFields(path.String())
			require.NoError(t, err)
			require.Len(t, fields, 1)
			require.True(t, covered(fields, path))
		})
	})
}

func TestValidateListsEveryFault(t *testing.T) {
	tests := map[string]struct {
		annotations map[string]string
		want        []string
	}{
		"nothing":      {nil, nil},
		"all is valid": {map[string]string{ModeAnnotation: "enforce", ProtectAnnotation: "helm, argocd-controller", IgnoreAnnotation: ".spec.replicas"}, nil},
		"a mode that YAML reads as a boolean": {map[string]string{ModeAnnotation: "true"},
			[]string{`annotation sluice.dev/ownership: "true" is not one of ignore, warn, enforce`}},
		"a manager without a name": {map[string]string{ProtectAnnotation: "helm,"},
			[]string{`annotation sluice.dev/protect: "helm," is not a comma list of field managers like helm, argocd-controller`}},
		"a field without a dot":     {map[string]string{IgnoreAnnotation: "spec"}, []string{`annotation sluice.dev/ownership-ignore: "spec" is not a comma list of fields like`}},
		"everything":                {map[string]string{IgnoreAnnotation: ".*"}, []string{`".*" is not`}},
		"a bracket that stays open": {map[string]string{IgnoreAnnotation: `.spec.list[name="a"`}, []string{"is not a comma list of fields"}},
		"a star in the middle":      {map[string]string{IgnoreAnnotation: ".spec.*.image"}, []string{"is not a comma list of fields"}},
		"two faults":                {map[string]string{ModeAnnotation: "", IgnoreAnnotation: ""}, []string{ModeAnnotation, IgnoreAnnotation}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := Validate(test.annotations)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			faults := strings.Split(err.Error(), "\n")
			require.Len(t, faults, len(test.want))
			for i := range faults {
				require.Contains(t, faults[i], test.want[i])
			}
		})
	}
}

func TestPolicyOfTheWorkloadOverridesTheNamespace(t *testing.T) {
	namespace := map[string]string{ModeAnnotation: "enforce", ProtectAnnotation: "helm"}
	own := map[string]string{ModeAnnotation: "ignore", IgnoreAnnotation: ".spec.replicas"}

	got, err := policyOf(own, namespace)
	require.NoError(t, err)
	require.Equal(t, policy{mode: Ignore, protect: []string{"helm"}, ignored: []Field{".spec.replicas"}}, got)

	namespace[canary.OverridesAnnotation] = "denied"
	got, err = policyOf(own, namespace)
	require.NoError(t, err)
	require.Equal(t, policy{mode: Enforce, protect: []string{"helm"}}, got)
}

func TestOperatorIsValidated(t *testing.T) {
	require.NoError(t, Operator{}.Validate())
	require.NoError(t, Operator{Bindings: []Binding{{Manager: "flux", Users: []string{"system:serviceaccount:flux-system:*"}}}, Unknown: Enforce, ForcedApply: Warn}.Validate())
	err := Operator{Bindings: []Binding{{Manager: "flux"}, {Users: []string{"bob"}}}, Aliases: map[string]string{"a": ""}, Unknown: "deny", ForcedApply: "deny"}.Validate()
	require.Len(t, strings.Split(err.Error(), "\n"), 5)
}

// A review is hostile until it is decoded.
func TestWhatCannotBeJudgedIsAnError(t *testing.T) {
	good := `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"managedFields":[{"manager":"A","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},"spec":{"replicas":3}}`
	tests := map[string]struct{ old, new, want string }{
		"no object":                   {good, "", "decoding the new object"},
		"no JSON":                     {good, "{", "decoding the new object"},
		"a list":                      {"[]", good, "decoding the old object"},
		"a null entry":                {`{"metadata":{"managedFields":[null]}}`, good, "null entry"},
		"another operation":           {strings.Replace(good, "Apply", "Steal", 1), good, "neither Apply nor Update"},
		"another fieldsType":          {good, strings.Replace(good, `"FieldsV1"`, `"FieldsV2"`, 1), "not FieldsV1"},
		"fields that no parser knows": {good, strings.Replace(good, `"f:spec"`, `"spec"`, 1), "parsing managedFields"},
		"fields that are no object":   {good, strings.Replace(good, `{"f:spec":{"f:replicas":{}}}`, `7`, 1), "parsing managedFields"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decide(Review{Old: json.RawMessage(test.old), New: json.RawMessage(test.new), FieldManager: "U"}, nil, Operator{})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestAFieldIsWithinAnother(t *testing.T) {
	for field, want := range map[Field]bool{
		".spec.template": true, `.spec.template.spec.containers[*].image`: true, ".spec.templates": false, ".spec": false,
		".metadata.labels.example.com/team": true, ".metadata.labels.other": false, ".spec.list[0]": true,
	} {
		require.Equal(t, want, field.within([]Field{".spec.template", ".metadata.labels.example.com/*", ".spec.list"}), field)
	}
}
