package ownership

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/webhook/ownership"
)

// applied is a Deployment of one pod, as a GitOps tool has it in Git.
const applied = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: shop}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "example/web:v1"}]}
`

// enforcing returns a namespace without canaries, so that nothing but ownership is in the way.
func enforcing(t *testing.T, options ...harness.Option) *harness.Namespace {
	t.Helper()
	n := env.Namespace(t, append(options, harness.Annotation(ownership.ModeAnnotation, "enforce"), harness.Annotation(canary.CanaryAnnotation, "disabled"))...)
	n.Unjudged() // what is judged elsewhere is releases
	return n
}

// Who owns a field is a GitOps tool, and each command of kubectl's that takes it is told so, whole.
func TestEveryClientShowsTheRefusalWhole(t *testing.T) {
	t.Parallel()
	n := enforcing(t)
	web := n.File("web.yaml", []byte(applied))
	n.Kubectl("apply", "--server-side", "--field-manager=kustomize-controller", "-f", web)
	n.WaitStable("web")
	v2 := n.File("v2.yaml", []byte(strings.Replace(applied, "web:v1", "web:v2", 1)))
	const taken = `conflict with "kustomize-controller": `
	const image = taken + `.spec.template.spec.containers[name="app"].image`
	const force = "3. force it: the same kubectl command with --field-manager=sluice-force-conflicts"
	tests := map[string]struct {
		tool      string
		args      []string
		want      string
		wantForce string // the third way out
	}{
		"kubectl set image":            {"kubectl", []string{"set", "image", "deploy/web", "app=example/web:v2"}, image, force},
		"kubectl patch":                {"kubectl", []string{"patch", "deploy/web", "-p", `{"spec":{"replicas":5}}`}, taken + ".spec.replicas", force},
		"kubectl patch, of type merge": {"kubectl", []string{"patch", "deploy/web", "--type=merge", "-p", `{"spec":{"replicas":5}}`}, taken + ".spec.replicas", force},
		"kubectl patch, of type json":  {"kubectl", []string{"patch", "deploy/web", "--type=json", "-p", `[{"op":"replace","path":"/spec/replicas","value":5}]`}, taken + ".spec.replicas", force},
		"kubectl patch of /scale": {"kubectl", []string{"patch", "deploy/web", "--subresource=scale", "--type=merge", "-p", `{"spec":{"replicas":5}}`},
			taken + ".spec.replicas", "--subresource=scale --type=merge --field-manager=sluice-force-conflicts -p '{\"spec\":{\"replicas\":5}}'"},
		"kubectl label":                  {"kubectl", []string{"label", "--overwrite", "deploy/web", "team=other"}, taken + ".metadata.labels.team", force},
		"kubectl label, of what goes":    {"kubectl", []string{"label", "deploy/web", "team-"}, taken + ".metadata.labels.team", force},
		"kubectl apply":                  {"kubectl", []string{"apply", "-f", v2}, image, force},
		"kubectl replace":                {"kubectl", []string{"replace", "-f", v2}, image, force},
		"kubectl apply, as Argo CD does": {"kubectl", []string{"apply", "--field-manager=argocd-controller", "--validate=false", "-f", v2}, image, `3. force it: the same write with the annotation sluice.dev/force-conflicts: "`},
		"kubectl set image, a dry run":   {"kubectl", []string{"set", "image", "deploy/web", "app=example/web:v2", "--dry-run=server"}, image, force},
		"kubectl diff":                   {"kubectl", []string{"diff", "-f", v2}, image, force},
	}
	before := n.Deployment("web")
	for name, test := range tests {
		r := n.Command("alice", test.tool, test.args...)
		require.NotZero(t, r.Code, "%s: %s", name, r)
		for _, part := range []string{
			`admission webhook "`, `denied the request: Update failed with 1 conflict: ` + test.want + "\n", "\nThere are three ways out:\n1. agree: ", "\n2. give it up: ", test.wantForce,
		} {
			require.Contains(t, r.Stderr, part, "%s: %s", name, r)
		}
		require.NotContains(t, r.Stderr, "immutable", name)
	}
	require.Equal(t, before.ResourceVersion, n.Deployment("web").ResourceVersion, "nothing was written")
	require.Equal(t, before.UID, n.Deployment("web").UID)

	t.Run("kubectl edit keeps what was typed", func(t *testing.T) {
		r := n.TryEdit("deploy/web", "web:v1", "web:v2")
		require.NotZero(t, r.Code, r)
		require.Contains(t, r.Stderr, image)
		require.Contains(t, r.Stderr, "You can run `kubectl replace -f ")
	})
	t.Run("kubectl apply --force does not delete what it may not change", func(t *testing.T) {
		r := n.Command("alice", "kubectl", "apply", "--force", "-f", v2)
		require.NotZero(t, r.Code, r)
		require.Contains(t, r.Stderr, image)
		require.Equal(t, before.UID, n.Deployment("web").UID)
	})
	t.Run("kubectl scale names no field manager, so it is a warning", func(t *testing.T) {
		r := n.Kubectl("scale", "deploy/web", "--replicas=2")
		require.Equal(t, []string{`sluice: this write takes .spec.replicas from "kustomize-controller"`}, r.Warnings(), r)
	})
	t.Run("the way that the refusal names leads there, for who may", func(t *testing.T) {
		args := []string{"set", "image", "deploy/web", "app=example/web:v2", "--field-manager=" + ownership.ForceManager}
		n.Refused("alice", []string{`"alice" may not force it`}, "kubectl", args...)
		r := n.Command("admin", "kubectl", args...)
		require.Zero(t, r.Code, r)
		require.Contains(t, r.Warnings(), `sluice: this write takes .spec.template.spec.containers[name="app"].image from "kustomize-controller", by force`, r)
		require.Equal(t, `admin took .spec.template.spec.containers[name="app"].image of "kustomize-controller" by force`, n.WaitEvent("web", "ForcedConflicts"))
	})
}

// Flux applies by force, which is its owner's word, and takes what kubectl holds out of managedFields first:
// that is rewriting, for which it needs the permission.
func TestFluxTakesOverWhatKubectlApplied(t *testing.T) {
	t.Parallel()
	for user, permitted := range map[string]bool{"admin": true, "alice": false} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			n := enforcing(t)
			n.Kubectl("apply", "--server-side", "-f", n.File("web.yaml", []byte(applied)))
			n.WaitStable("web")
			config, err := clientcmd.BuildConfigFromFlags("", env.Cluster.Kubeconfig(user))
			require.NoError(t, err)
			c, err := client.New(config, client.Options{})
			require.NoError(t, err)
			flux := ssa.NewResourceManager(c, nil, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
			object := &unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal([]byte(strings.Replace(applied, "web:v1", "web:v2", 1)), object))
			object.SetNamespace(n.Name)
			opts := ssa.DefaultApplyOptions()
			// As kustomize-controller has it.
			opts.Cleanup = ssa.ApplyCleanupOptions{FieldManagers: []ssa.FieldManager{
				{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
				{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
				{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			}}

			_, err = flux.Apply(t.Context(), object, opts)

			if !permitted {
				require.ErrorContains(t, err, "Update failed with 1 conflict: conflict with \"kubectl\": .metadata.managedFields\n\"alice\" may not force it")
				require.ErrorContains(t, err, "2. give it up: leave managedFields out of what you send")
				return
			}
			require.NoError(t, err)
			d := n.Deployment("web")
			require.Equal(t, v2, d.Spec.Template.Spec.Containers[0].Image)
			for _, entry := range d.ManagedFields {
				require.NotEqual(t, "kubectl", entry.Manager)
			}
			require.Equal(t, `admin took .metadata.managedFields of "kubectl" by force`, n.WaitEvent("web", "ForcedConflicts"))

			n.WaitStable("web")
			change, err := flux.Apply(t.Context(), object, opts)
			require.NoError(t, err)
			require.Equal(t, ssa.UnchangedAction, change.Action, "the next time there is nothing to take")
			n.Refused("alice", []string{`conflict with "kustomize-controller": `}, "kubectl", "set", "image", "deploy/web", "app="+v1)
		})
	}
}

const v1, v2 = "example/web:v1", "example/web:v2"
