package ownership

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// owned is a Deployment with owners of all sorts.
func owned(t *testing.T) manifest {
	return deployments.history(t,
		applied("flux", both(three.edit, set("1", image("app")...))),
		updated("helm", set("1", "metadata", "labels", "app")),
		updated("helm-operator", set("1", "metadata", "labels", "tier")),
		applied("helm", set("shop", "metadata", "labels", "team")),
		step{manager: controllerManager, scales: true, edit: set(int64(4), replicasPath...)})
}

var everything = both(five, set("2", image("app")...), set("2", "metadata", "labels", "app"), set("2", "metadata", "labels", "tier"), set("2", "metadata", "labels", "team"))

// 61: message and causes, byte for byte those of the API server's own code for the same conflict on apply.
func TestWordsAreThoseOfServerSideApply(t *testing.T) {
	for name, edit := range map[string]func(manifest){
		"one conflict":                            set("2", image("app")...),
		"one conflict, through a subresource":     five,
		"two owners, sorted":                      both(set("2", "metadata", "labels", "app"), set("2", image("app")...)),
		"names that begin alike, and two entries": everything,
	} {
		t.Run(name, func(t *testing.T) {
			live := owned(t)
			w := write{manager: "ci", edit: edit}
			review := w.review(t, live)
			namespace := strictest

			decision, err := decide(review, namespace, Operator{})

			require.NoError(t, err)
			_, applyErr := deployments.apply(live, withEdit(unstructuredCopy(live).Object, edit), "ci", false)
			var status apierrors.APIStatus
			require.ErrorAs(t, applyErr, &status)
			message, _, found := strings.Cut(decision.Message(), "\nThere are three ways out:\n")
			require.True(t, found)
			require.Equal(t, status.Status().Message, strings.Replace(message, "Update failed", "Apply failed", 1))
			require.ElementsMatch(t, status.Status().Details.Causes, decision.Causes())
		})
	}
}

func TestARefusalReadsLikeThis(t *testing.T) {
	tests := map[string]struct {
		write  write
		forbid bool // the user asked for force and may not
		want   string
	}{
		"to kubectl": {write: write{manager: "kubectl-edit", edit: both(five, set("2", "metadata", "labels", "app"))}, want: `Update failed with 2 conflicts: conflicts with "helm" using apps/v1:
- .metadata.labels.app
conflicts with "kube-controller-manager" with subresource "scale" using apps/v1:
- .spec.replicas
There are three ways out:
1. agree: send the value that is there, or have the owner change it: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: kubectl apply --server-side -n shop -f FILE
3. force it: the same kubectl command with --field-manager=sluice-force-conflicts (needs the verb "force-conflicts" on deployments.apps)`},
		"to kubectl without a field manager": {write: write{manager: "kubectl", unnamed: true, edit: set("2", image("app")...)}, want: `Update failed with 1 conflict: conflict with "flux": .spec.template.spec.containers[name="app"].image
There are three ways out:
1. agree: send the value that is there, or have the owner change it: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: kubectl apply --server-side -n shop -f FILE
3. force it: kubectl patch deployment/web -n shop --type=merge --field-manager=sluice-force-conflicts -p PATCH (needs the verb "force-conflicts" on deployments.apps)`},
		"to Helm": {write: write{manager: "helm", edit: set("2", image("app")...)}, want: `Update failed with 1 conflict: conflict with "flux": .spec.template.spec.containers[name="app"].image
There are three ways out:
1. agree: send the value that is there, or have the owner change it: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: helm upgrade --server-side=true RELEASE CHART (Helm 4)
3. force it: helm upgrade --server-side=true --force-conflicts RELEASE CHART (Helm 4), or the same upgrade with the annotation sluice.dev/force-conflicts: "1207" in the chart, which needs the verb "force-conflicts" on deployments.apps`},
		"to another client": {write: write{manager: "operator", edit: unset("spec", "template", "spec", "containers", key{"name", "app"})}, want: `Update failed with 1 conflict: conflict with "flux": .spec.template.spec.containers[name="app"]
There are three ways out:
1. agree: send the value that is there, or have the owner change it: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: kubectl apply --server-side -n shop -f FILE
3. force it: the same write with the annotation sluice.dev/force-conflicts: "1207" (needs the verb "force-conflicts" on deployments.apps)`},
		"to who asked for force and may not": {forbid: true, write: write{manager: ForceManager, edit: set("2", image("app")...)}, want: `Update failed with 1 conflict: conflict with "flux": .spec.template.spec.containers[name="app"].image
"bob" may not force it: that needs the verb "force-conflicts" on deployments.apps.
There are three ways out:
1. agree: send the value that is there, or have the owner change it: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave the field out, and apply what is left server-side, which removes nothing of others: kubectl apply --server-side -n shop -f FILE
3. force it: the same write with the annotation sluice.dev/force-conflicts: "1207" (needs the verb "force-conflicts" on deployments.apps)`},
		"to who rewrites managedFields": {write: write{manager: "operator", claims: onlyHelms}, want: `Update failed with 2 conflicts: conflicts with "flux":
- .metadata.managedFields
conflicts with "kube-controller-manager" with subresource "scale" using apps/v1:
- .metadata.managedFields
There are three ways out:
1. agree: send managedFields as they are, or none at all: kubectl get deployment/web -n shop -o yaml --show-managed-fields
2. give it up: leave managedFields out of what you send
3. force it: the same write, by somebody who has the verb "force-conflicts" on deployments.apps`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := test.write.review(t, owned(t))
			namespace := map[string]string{ModeAnnotation: "enforce", ProtectAnnotation: "helm"}
			decision, err := decide(review, namespace, Operator{})
			require.NoError(t, err)
			if test.forbid {
				require.True(t, decision.ForceAsked)
				decision = decision.Resolve(false)
			}

			require.Equal(t, test.want, decision.Message())

			status := decision.Status()
			require.EqualValues(t, 403, status.Code, "never 409 or 422")
			require.Equal(t, metav1.StatusReasonForbidden, status.Reason)
			require.Equal(t, "web", status.Details.Name)
			require.Equal(t, decision.Causes(), status.Details.Causes)
		})
	}
}

func TestForceNeedsIntentAndPermission(t *testing.T) {
	annotated := func(version string) func(manifest) {
		return both(set("2", image("app")...), set(version, "metadata", "annotations", ForceAnnotation))
	}
	tests := map[string]struct {
		past      []step
		operator  Operator
		write     write
		permitted bool
		wantAsked bool
		want      Verdict
	}{
		"no intent, but the permission":              {write: write{manager: "ci", edit: set("2", image("app")...)}, permitted: true, want: Denied},
		"the field manager, and the permission (32)": {write: write{manager: ForceManager, edit: set("2", image("app")...)}, permitted: true, wantAsked: true, want: Forced},
		"the field manager, not the permission":      {write: write{manager: ForceManager, edit: set("2", image("app")...)}, wantAsked: true, want: Denied},
		"the annotation, and the permission":         {write: write{manager: "ci", edit: annotated("1207")}, permitted: true, wantAsked: true, want: Forced},
		"the annotation of another version":          {write: write{manager: "ci", edit: annotated("1206")}, permitted: true, want: Denied},
		"the annotation was there before": {past: []step{updated("ci", set("1207", "metadata", "annotations", ForceAnnotation))},
			write: write{manager: "ci", edit: set("2", image("app")...)}, permitted: true, want: Denied},
		"claims rewritten, and the permission":      {write: write{manager: "ci", claims: func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return []metav1.ManagedFieldsEntry{{}} }}, permitted: true, wantAsked: true, want: Forced},
		"an apply by force, and the permission":     {operator: Operator{ForcedApply: Enforce}, write: write{manager: "ci", forced: true, edit: set("2", image("app")...)}, permitted: true, wantAsked: true, want: Forced},
		"an apply by force, without the permission": {operator: Operator{ForcedApply: Enforce}, write: write{manager: "ci", forced: true, edit: set("2", image("app")...)}, wantAsked: true, want: Denied},
		"claims rewritten, without the permission":  {write: write{manager: "ci", claims: func([]metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry { return []metav1.ManagedFieldsEntry{{}} }}, wantAsked: true, want: Denied},
		"nothing to force":                          {write: write{manager: ForceManager, edit: set("2", "metadata", "labels", "new")}, permitted: true, wantAsked: true, want: Allowed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			live := deployments.history(t, append([]step{applied("flux", set("1", image("app")...)), updated("x", set("1", "metadata", "labels", "x"))}, test.past...)...)
			review := test.write.review(t, live)
			namespace := map[string]string{ModeAnnotation: "enforce"}

			decision, err := decide(review, namespace, test.operator)
			require.NoError(t, err)
			require.Equal(t, test.wantAsked, decision.ForceAsked)
			decision = decision.Resolve(test.permitted)

			require.Equal(t, test.want, decision.Verdict)
			if test.want == Forced {
				field := `.spec.template.spec.containers[name="app"].image`
				if test.write.claims != nil {
					field = managedFieldsField
				}
				require.Equal(t, `sluice: this write takes `+field+` from "flux", by force`, decision.Warnings[0])
				require.Equal(t, []string{`"flux" ` + field}, lines(decision.Forced))
				require.Equal(t, `took `+field+` of "flux" by force`, decision.Record())
				require.Empty(t, decision.Refused)
				require.Empty(t, decision.Message())
			}
		})
	}
}

func TestWarningsSayWhatIsTaken(t *testing.T) {
	many := func(o manifest) {
		for i := range 40 {
			set("2", "metadata", "labels", strings.Repeat("x", 20)+string(rune('A'+i)))(o)
		}
	}
	tests := map[string]struct {
		mode string
		past step
		edit func(manifest)
		want []string
	}{
		"an owner that is not protected": {"enforce", updated("kubectl-edit", five), three.edit,
			[]string{`sluice: this write takes .spec.replicas from "kubectl-edit" using apps/v1`}},
		"a protected owner, in mode warn": {"warn", applied("flux", five), three.edit,
			[]string{`sluice: this write takes .spec.replicas from "flux", which sluice.dev/ownership=enforce would refuse`}},
		"a mode that is not valid counts as warn, and says so": {"on", applied("flux", five), three.edit,
			[]string{`sluice: annotation sluice.dev/ownership counts for nothing: "on" is not one of ignore, warn, enforce`,
				`sluice: this write takes .spec.replicas from "flux", which sluice.dev/ownership=enforce would refuse`}},
		"more than there is room for": {"enforce", updated("x", many), func(o manifest) { delete(o["metadata"].(manifest), "labels") },
			[]string{`sluice: this write takes .metadata.labels.xxxxxxxxxxxxxxxxxxxxA, .metadata.labels.xxxxxxxxxxxxxxxxxxxxB, .metadata.labels.xxxxxxxxxxxxxxxxxxxxC, .metadata.labels.xxxxxxxxxxxxxxxxxxxxD and 36 more from "x" using apps/v1`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			review := write{manager: "ci", edit: test.edit}.review(t, deployments.history(t, test.past))
			namespace := map[string]string{ModeAnnotation: test.mode}
			decision, err := decide(review, namespace, Operator{})
			require.NoError(t, err)
			require.Equal(t, Warned, decision.Verdict)
			require.Equal(t, test.want, decision.Warnings)
		})
	}
}

func onlyHelms(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	return slices.DeleteFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return e.Manager != "helm" })
}

func TestARefusalNamesNoMoreThanAnybodyReads(t *testing.T) {
	many := func(value string) func(manifest) {
		return func(o manifest) {
			for i := range 60 {
				set(value, "metadata", "labels", fmt.Sprintf("l%02d", i))(o)
			}
		}
	}
	review := write{manager: "ci", edit: many("2")}.review(t, deployments.history(t, applied("flux", many("1"))))
	decision, err := decide(review, map[string]string{ModeAnnotation: "enforce"}, Operator{})
	require.NoError(t, err)
	require.Contains(t, decision.Message(), "Update failed with 60 conflicts: conflicts with \"flux\":\n- .metadata.labels.l00\n")
	require.Contains(t, decision.Message(), "- .metadata.labels.l49\nand 10 more\nThere are three ways out:")
	require.Len(t, decision.Causes(), 50)
	require.True(t, strings.HasSuffix(List(decision.Refused), ".metadata.labels.l49 of \"flux\" and 10 more"), List(decision.Refused))
}
