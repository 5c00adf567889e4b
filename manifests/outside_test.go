package manifests_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"sluice.dev/sluice/manifests"
)

func TestWithoutServerKeepsWhatASluiceOutsideNeeds(t *testing.T) {
	var kinds []string
	for _, obj := range manifests.WithoutServer(objects(t)) {
		kinds = append(kinds, obj.GetKind())
	}

	require.Equal(t, []string{
		"Namespace", "ServiceAccount",
		"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ClusterRole", "ClusterRole",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
	}, kinds)
}

func TestForURLPointsEveryWebhookAtTheURLAndItsOwnPath(t *testing.T) {
	for name, base := range map[string]string{
		"as given":                    "https://127.0.0.1:9443",
		"a closing slash is no fault": "https://127.0.0.1:9443/",
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{
				"mutating workloads.sluice.dev":   "https://127.0.0.1:9443/mutate",
				"mutating releases.sluice.dev":    "https://127.0.0.1:9443/mutate",
				"mutating routes.sluice.dev":      "https://127.0.0.1:9443/mutate-routes",
				"validating workloads.sluice.dev": "https://127.0.0.1:9443/validate",
				"validating releases.sluice.dev":  "https://127.0.0.1:9443/validate",
				"validating owners.sluice.dev":    "https://127.0.0.1:9443/validate-owners",
				"validating scale.sluice.dev":     "https://127.0.0.1:9443/validate-scale",
				"validating config.sluice.dev":    "https://127.0.0.1:9443/warn-config",
			}
			got := map[string]string{}
			for _, obj := range manifests.ForURL(objects(t), base) {
				switch obj.GetKind() {
				case "MutatingWebhookConfiguration":
					var c admissionregistrationv1.MutatingWebhookConfiguration
					require.NoError(t, strictly(obj, &c))
					for _, webhook := range c.Webhooks {
						got["mutating "+webhook.Name] = *webhook.ClientConfig.URL
						require.Nil(t, webhook.ClientConfig.Service)
					}
				case "ValidatingWebhookConfiguration":
					var c admissionregistrationv1.ValidatingWebhookConfiguration
					require.NoError(t, strictly(obj, &c))
					for _, webhook := range c.Webhooks {
						got["validating "+webhook.Name] = *webhook.ClientConfig.URL
						require.Nil(t, webhook.ClientConfig.Service)
					}
				}
			}
			require.Equal(t, want, got)
		})
	}
}

func TestForURLLeavesTheGivenObjectsAlone(t *testing.T) {
	given := objects(t)

	manifests.ForURL(given, "https://127.0.0.1:9443")

	require.Equal(t, objects(t), given)
}
