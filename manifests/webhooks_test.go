package manifests_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/manifests"
)

// entry is one webhook of either configuration, by what both kinds have.
type entry struct {
	admissionregistrationv1.ValidatingWebhook
	configuration string
	reinvocation  *admissionregistrationv1.ReinvocationPolicyType
}

// entries returns every webhook by configuration and name, as in
// "mutating workloads.sluice.dev".
func entries(t *testing.T) map[string]entry {
	t.Helper()
	found := map[string]entry{}
	for _, m := range typed(t, &admissionregistrationv1.MutatingWebhookConfiguration{}, manifests.Name).Webhooks {
		found["mutating "+m.Name] = entry{
			configuration: "mutating",
			reinvocation:  m.ReinvocationPolicy,
			ValidatingWebhook: admissionregistrationv1.ValidatingWebhook{
				Name: m.Name, ClientConfig: m.ClientConfig, Rules: m.Rules, FailurePolicy: m.FailurePolicy,
				MatchPolicy: m.MatchPolicy, NamespaceSelector: m.NamespaceSelector, ObjectSelector: m.ObjectSelector,
				SideEffects: m.SideEffects, TimeoutSeconds: m.TimeoutSeconds,
				AdmissionReviewVersions: m.AdmissionReviewVersions, MatchConditions: m.MatchConditions,
			},
		}
	}
	for _, v := range typed(t, &admissionregistrationv1.ValidatingWebhookConfiguration{}, manifests.Name).Webhooks {
		found["validating "+v.Name] = entry{configuration: "validating", ValidatingWebhook: v}
	}
	return found
}

func TestTheWebhooksAreThese(t *testing.T) {
	type contract struct {
		path      string
		onFailure admissionregistrationv1.FailurePolicyType
		resources []string
	}
	workloads := []string{"deployments", "statefulsets", "daemonsets"}
	scales := []string{"deployments/scale", "statefulsets/scale"}
	routes := []string{"httproutes", "grpcroutes", "ingresses", "virtualservices", "apisixroutes"}
	want := map[string]contract{
		"mutating workloads.sluice.dev":   {"/mutate", admissionregistrationv1.Fail, workloads},
		"mutating releases.sluice.dev":    {"/mutate", admissionregistrationv1.Fail, workloads},
		"mutating routes.sluice.dev":      {"/mutate-routes", admissionregistrationv1.Ignore, routes},
		"validating workloads.sluice.dev": {"/validate", admissionregistrationv1.Fail, workloads},
		"validating releases.sluice.dev":  {"/validate", admissionregistrationv1.Fail, workloads},
		"validating owners.sluice.dev":    {"/validate-owners", admissionregistrationv1.Ignore, workloads},
		"validating scale.sluice.dev":     {"/validate-scale", admissionregistrationv1.Ignore, scales},
		"validating config.sluice.dev":    {"/warn-config", admissionregistrationv1.Ignore, []string{"configmaps", "secrets"}},
	}
	got := map[string]contract{}
	for name, e := range entries(t) {
		c := contract{path: *e.ClientConfig.Service.Path, onFailure: *e.FailurePolicy}
		for _, rule := range e.Rules {
			require.Len(t, rule.APIGroups, 1, name)
			c.resources = append(c.resources, rule.Resources...)
		}
		got[name] = c
	}
	require.Equal(t, want, got)
}

// The mutating webhooks of workloads make snapshots of pinned config, and a write by force leaves an Event; a dry run
// does neither.
func TestEveryWebhookIsQuickFreeOfSideEffectsInADryRunAndSparesTheSystem(t *testing.T) {
	system := []string{"kube-system", manifests.Namespace}
	for name, e := range entries(t) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{"v1"}, e.AdmissionReviewVersions)
			effects := admissionregistrationv1.SideEffectClassNone
			if strings.HasPrefix(name, "mutating") && name != "mutating routes.sluice.dev" || strings.HasSuffix(name, " owners.sluice.dev") || strings.HasSuffix(name, " scale.sluice.dev") {
				effects = admissionregistrationv1.SideEffectClassNoneOnDryRun
			}
			require.Equal(t, effects, *e.SideEffects)
			require.Equal(t, admissionregistrationv1.Equivalent, *e.MatchPolicy)
			require.LessOrEqual(t, *e.TimeoutSeconds, int32(10))
			require.Equal(t, manifests.Name, e.ClientConfig.Service.Name)
			require.Equal(t, manifests.Namespace, e.ClientConfig.Service.Namespace)
			require.EqualValues(t, 443, *e.ClientConfig.Service.Port)
			require.Empty(t, e.ClientConfig.CABundle, "sluice fills it in")
			require.NotEmpty(t, e.MatchConditions)
			for _, rule := range e.Rules {
				require.Equal(t, admissionregistrationv1.NamespacedScope, *rule.Scope)
			}
			for _, namespace := range system {
				require.False(t, selects(t, e.NamespaceSelector, labels.Set{
					corev1.LabelMetadataName: namespace, "sluice.dev/enabled": "true",
				}), namespace)
			}
			if e.configuration == "mutating" {
				require.Equal(t, admissionregistrationv1.IfNeededReinvocationPolicy, *e.reinvocation)
			}
		})
	}
}

func TestTheTwoConfigurationsSelectTheSame(t *testing.T) {
	all := entries(t)
	for _, name := range []string{"workloads.sluice.dev", "releases.sluice.dev"} {
		mutating, validating := all["mutating "+name], all["validating "+name]
		require.Equal(t, mutating.Rules, validating.Rules)
		require.Equal(t, mutating.NamespaceSelector, validating.NamespaceSelector)
		require.Equal(t, mutating.ObjectSelector, validating.ObjectSelector)
		require.Equal(t, mutating.MatchConditions, validating.MatchConditions)
	}
}

func TestAnObjectIsSelectedByOneWebhookAtMost(t *testing.T) {
	values := []string{"", "true", "false", "other"}
	all := entries(t)
	for _, enabled := range values {
		for _, active := range values {
			object := labels.Set{"app": "web"}
			if enabled != "" {
				object["sluice.dev/enabled"] = enabled
			}
			if active != "" {
				object["sluice.dev/release-active"] = active
			}
			workloads := selects(t, all["mutating workloads.sluice.dev"].ObjectSelector, object)
			releases := selects(t, all["mutating releases.sluice.dev"].ObjectSelector, object)

			require.Equal(t, active == "true", releases, "%v", object)
			require.Equal(t, active != "true" && enabled != "false", workloads, "%v", object)
		}
	}
}

func selects(t *testing.T, selector *metav1.LabelSelector, set labels.Set) bool {
	t.Helper()
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return compiled.Matches(set)
}
