package ownership

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const grammarOfFields = `is not a comma list of fields like .spec.replicas, .spec.template.spec.containers[name="app"].image, ` +
	`.spec.template.spec.containers[*].image or .metadata.annotations.example.com/*`

// A value that means nothing is refused where it is written, with key, value and grammar.
func TestPolicyThatIsNotValid(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	namespaces := kind{name: "Namespace", resource: corev1.SchemeGroupVersion.WithResource("namespaces"), typed: map[string]any{"": corev1.Namespace{}}}
	thing, deployment := object{things, n.Name, "thing"}, object{deployments, n.Name, "deployment"}
	thing.history(t, textByA)
	deployment.history(t, three)
	for key, wrong := range map[string]struct{ value, grammar string }{
		"sluice.dev/ownership":        {"strict", "is not one of ignore, warn, enforce"},
		"sluice.dev/protect":          {"helm,,keda", "is not a comma list of field managers like helm, argocd-controller"},
		"sluice.dev/ownership-ignore": {"spec.replicas", grammarOfFields},
	} {
		said := fmt.Sprintf("annotation %s: %q %s", key, wrong.value, wrong.grammar)
		for _, o := range []object{thing, deployment, {namespaces, "", n.Name}} {
			before := o.settled(t)
			for _, v := range o.kind.verbs() {
				a := o.send(t, v, write{user: "root", edit: annotated(key, wrong.value)})
				require.ErrorContains(t, a.err, said, "%s of %v", v, o)
			}
			require.Equal(t, before, o.settled(t))
		}
		body := deployments.empty(n.Name, "new", write{})
		both(deployments.base, annotated(key, wrong.value))(body)
		_, err := object{deployments, n.Name, "new"}.client(t, write{}, nil).Create(t.Context(), &unstructured.Unstructured{Object: body}, metav1.CreateOptions{})
		require.ErrorContains(t, err, said)
	}
}

// Whoever could make the rules milder could take any field in two writes.
func TestLooseningThePolicy(t *testing.T) {
	t.Parallel()
	n := enforced(t)
	const mode, protect, ignore = "sluice.dev/ownership", "sluice.dev/protect", "sluice.dev/ownership-ignore"
	tests := map[string]struct {
		key, before, after string
		wantRefused        bool
	}{
		"enforce becomes warn":               {mode, "enforce", "warn", true},
		"the namespace's enforce: warn":      {mode, "", "warn", true},
		"warn becomes enforce":               {mode, "warn", "enforce", false},
		"fewer managers are protected":       {protect, "helm, keda", "helm", true},
		"more managers are protected":        {protect, "helm", "helm, keda", false},
		"as many as the namespace protects":  {protect, "helm", "", false},
		"more fields are free":               {ignore, ".spec.text", ".spec.text, .spec.replicas", true},
		"fewer fields are free":              {ignore, ".spec.text, .spec.replicas", ".spec.text", false},
		"no field is free":                   {ignore, ".spec.text", "", false},
		"a field is free where none was yet": {ignore, "", ".spec.replicas", true},
	}
	for name, test := range tests {
		for _, k := range []kind{things, deployments} {
			for _, v := range k.verbs() {
				t.Run(name+"/"+k.name+"/"+string(v), func(t *testing.T) {
					t.Parallel()
					o := object{k, n.Name, fmt.Sprintf("%s-%s-%d", slug(name), v, objects.Add(1))}
					past := []step{three}
					if test.before != "" {
						past = append(past, updated("U", annotated(test.key, test.before)))
					}
					o.history(t, past...)
					edit := annotated(test.key, test.after)
					if test.after == "" {
						edit = unset("metadata", "annotations", test.key)
					}
					if !test.wantRefused {
						c := acceptanceCase{write: write{edit: edit}, allowed: true, unsaid: true}
						c.passes(t, o, v)
						return
					}
					isLoosening(t, o, v, edit, test.key)
					o.hasAudit(t, n, k.webhook+"/verdict", "Forced")
				})
			}
		}
	}
}

// isLoosening requires that the edit is refused, leaves nothing, and passes with the right to force it.
func isLoosening(t *testing.T, o object, v verb, edit func(manifest), key string) {
	t.Helper()
	before := o.settled(t)
	for _, manager := range []string{"U", "sluice-force-conflicts"} {
		for _, dryRun := range []bool{true, false} {
			status := o.send(t, v, write{manager: manager, edit: edit, dryRun: dryRun}).status(t)
			require.EqualValues(t, 403, status.Code)
			require.Contains(t, status.Message, "Update failed: less of ")
			require.Equal(t, ".metadata.annotations."+key, status.Details.Causes[0].Field)
		}
	}
	require.Equal(t, before, o.settled(t))
	a := o.send(t, v, write{user: "fiona", manager: "sluice-force-conflicts", edit: edit})
	require.NoError(t, a.err)
}
