package manifests_test

import (
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/webhook/ownership"
)

func statusPolicy(t *testing.T) admissionregistrationv1.ValidatingAdmissionPolicySpec {
	t.Helper()
	return typed(t, &admissionregistrationv1.ValidatingAdmissionPolicy{}, "sluice-status").Spec
}

// refusals returns what the policy answers to a write.
func refusals(t *testing.T, policy admissionregistrationv1.ValidatingAdmissionPolicySpec, w write) []any {
	t.Helper()
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
		"the phase that machines wait for is forged": {
			old:  labelled("sluice.dev/phase", "Aborted"),
			new:  labelled("sluice.dev/phase", "Promoted"),
			want: []any{"sluice.dev/phase is sluice's own: leave it as it is in the status you send"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := refusals(t, statusPolicy(t), write{resource: "deployments", subresource: "status", old: test.old, new: test.new})
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

func TestDefaultsOfANamespaceAreValid(t *testing.T) {
	policy := typed(t, &admissionregistrationv1.ValidatingAdmissionPolicy{}, "sluice-defaults").Spec
	namespace := func(label string, annotations map[string]string) *corev1.Namespace {
		return &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"sluice.dev/enabled": label}, Annotations: annotations},
		}
	}
	refused := func(old, now *corev1.Namespace) []any {
		w := write{resource: "namespaces", new: now}
		if old != nil {
			w.old = old
		}
		return refusals(t, policy, w)
	}
	t.Run("what admission takes and refuses is taken and refused", func(t *testing.T) {
		for key, values := range map[string][]string{
			canary.StepsAnnotation: {
				"20%", "20%, 50%/5:10m, 100%/100%", "0%/100%, 100%", "10%:approve", " 5% / 3 : 1h30m ", "007%", "20%/1%", "1%,1%",
				"", "20%,", "20", "101%", "+5%", "50%, 20%", "20%/0", "20%/0%", "20%:soon", "20%:0s", "20%/99999999999", "20%:10", "a%", "20%/101%", "20%:-1s",
			},
			canary.SettleAnnotation:    {"5s", "1s", "1m", "61s", "999ms", "0s", "-1s", "5", "", "soon"},
			canary.DeadlineAnnotation:  {"10m", "1s", "1h0.5m", "999ms", "0s", "-1m", "10", "", "soon"},
			canary.CanaryAnnotation:    {"enabled", "disabled", "on", ""},
			canary.ApprovalAnnotation:  {"anyone", "four-eyes", "two"},
			canary.ConfigAnnotation:    {"hash", "ignore", "pin it"},
			canary.OverridesAnnotation: {"allowed", "denied", "no"},
			canary.TrafficAnnotation:   {"auto", "none", " none ", "httproute/web", "auto,none", "off", "", "Auto"},
			canary.MatchAnnotation: {
				"header:x-canary=yes", " cookie:canary=always ", "header:X-A!#$%&'*+.^_`|~-9=a b  c=d", `header:a="b\c"`, "cookie:a=b=c", "cookie:a=!#+-:<[]~",
				"header:" + strings.Repeat("n", 256) + "=v", "header:a=" + strings.Repeat("v", 1024), "cookie:a=" + strings.Repeat("v", 1024),
				"header:" + strings.Repeat("n", 257) + "=v", "header:a=" + strings.Repeat("v", 1025), "cookie:a=" + strings.Repeat("v", 1025),
				"", "header", "header:", "header:a", "header:a=", "header:=b", "header:a b=c", "header:a= b", "header:a=b\tc", "header:a=ü", "query:a=b",
				"Header:a=b", "cookie:a=b;c", "cookie:a=b,c", `cookie:a="b"`, "cookie:a=b c", "cookie:a=b\\c", "header:a=b\n", "header:a=b\nc",
			},
			ownership.ModeAnnotation: {"ignore", "warn", "enforce", "Enforce", "off", ""},
			ownership.ProtectAnnotation: {
				"helm", "helm, argocd-controller", " a b ", strings.Repeat("m", 128), strings.Repeat("m", 129), "", "helm,", ",", " ",
			},
			ownership.IgnoreAnnotation: {
				".spec.replicas", ` .spec.template.spec.containers[name="app"].image , .spec.x`, ".spec.containers[*].image", ".metadata.labels.example.com/*",
				`.spec.ports[containerPort=80,protocol="TCP"],.spec`, `.spec.set[="a"]`, ".spec.list[0]", ".spec[*]", ".a*",
				"", ".", ".*", "spec.replicas", ".spec,", ",.spec", ".spec.*.x", ".spec[", ".spec]", ".spec[a*b]", ".spec[a[b]]", ".spec.replicas .x,y", ".spec**",
			},
		} {
			for _, value := range values {
				annotations := map[string]string{key: value}
				said := refused(nil, namespace("true", annotations))
				if canary.ValidateDefaults(annotations) == nil && ownership.Validate(annotations) == nil {
					require.Empty(t, said, "%s=%q", key, value)
					continue
				}
				require.Len(t, said, 1, "%s=%q", key, value)
				require.Contains(t, said[0], "annotation "+key+": \""+value+"\" is not ")
			}
		}
	})
	t.Run("what stood there before is left alone", func(t *testing.T) {
		bad := map[string]string{canary.StepsAnnotation: "ten", "example.com/a": "1"}
		require.Empty(t, refused(namespace("true", map[string]string{canary.StepsAnnotation: "ten"}), namespace("true", bad)))
		require.Len(t, refused(namespace("", bad), namespace("true", bad)), 1, "it counts from now on")
	})
}
