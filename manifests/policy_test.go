package manifests_test

import (
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func statusPolicy(t *testing.T) admissionregistrationv1.ValidatingAdmissionPolicySpec {
	t.Helper()
	return typed(t, &admissionregistrationv1.ValidatingAdmissionPolicy{}, "sluice-status").Spec
}

// refusals returns what the policy answers to a write of the status.
func refusals(t *testing.T, w write) []any {
	t.Helper()
	policy := statusPolicy(t)
	if matches, _ := called(t, policy.MatchConditions, w); !matches {
		return nil
	}
	var messages []any
	withVariables := compiler(t, policy.Variables)
	for _, v := range policy.Validations {
		validation := expression{text: v.Expression, types: []*celgo.Type{celgo.BoolType}}
		holds, _ := evaluate(t, compile(t, withVariables, validation), w)
		if holds[0] == true {
			continue
		}
		answer := expression{text: v.MessageExpression, types: []*celgo.Type{celgo.StringType}}
		message, _ := evaluate(t, compile(t, withVariables, answer), w)
		messages = append(messages, message...)
	}
	return messages
}

func TestSluicesKeysCannotChangeThroughStatus(t *testing.T) {
	const annotate = " cannot be changed through the status subresource; change it on the workload itself: " +
		"kubectl -n shop annotate --overwrite deployments/web "
	const state = "sluice.dev/release is sluice's own record of the release: leave it as it is in the status you send"
	tests := map[string]struct {
		old, new *appsv1.Deployment
		want     []any
	}{
		"only the status changes": {
			old: web(),
			new: webWith(func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 3 }),
		},
		"the deployment controller counts a revision": {
			old: web(),
			new: annotated("deployment.kubernetes.io/revision", "1"),
		},
		"the state stays and something else changes": {
			old: annotated("sluice.dev/release", "{}"),
			new: webWith(func(d *appsv1.Deployment) {
				d.Annotations = map[string]string{"sluice.dev/release": "{}", "example.com/a": "1"}
			}),
		},
		"the state appears": {
			old:  web(),
			new:  annotated("sluice.dev/release", "{}"),
			want: []any{state},
		},
		"the state is dropped with all annotations": {
			old:  annotated("sluice.dev/release", "{}"),
			new:  web(),
			want: []any{state},
		},
		"an approval is changed": {
			old:  annotated("sluice.dev/approve", "4/1"),
			new:  annotated("sluice.dev/approve", "4/2"),
			want: []any{"sluice.dev/approve" + annotate + "sluice.dev/approve=VALUE"},
		},
		"the label that marks a release is dropped": {
			old:  labelled("sluice.dev/release-active", "true"),
			new:  web(),
			want: []any{"sluice.dev/release-active is sluice's own: leave it as it is in the status you send"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := refusals(t, write{resource: "deployments", subresource: "status", old: test.old, new: test.new})
			require.Equal(t, test.want, got)
		})
	}
}

func TestThePolicyStandsInTheStatusPathOfEveryWorkloadAndOfNothingElse(t *testing.T) {
	policy := statusPolicy(t)
	require.Equal(t, admissionregistrationv1.Fail, *policy.FailurePolicy)
	require.Len(t, policy.MatchConstraints.ResourceRules, 1)
	rule := policy.MatchConstraints.ResourceRules[0]
	require.Equal(t, []string{"deployments/status", "statefulsets/status", "daemonsets/status"}, rule.Resources)
	require.Equal(t, []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, rule.Operations)
	require.Nil(t, policy.MatchConstraints.ObjectSelector)
	for namespace, want := range map[string]bool{"kube-system": false, "sluice-system": true, "shop": true} {
		selected := selects(t, policy.MatchConstraints.NamespaceSelector, labels.Set{corev1.LabelMetadataName: namespace})
		require.Equal(t, want, selected, namespace)
	}

	binding := typed(t, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, "sluice-status").Spec
	require.Equal(t, "sluice-status", binding.PolicyName)
	require.Equal(t, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}, binding.ValidationActions)
	require.Nil(t, binding.MatchResources, "nobody is exempt")
}
