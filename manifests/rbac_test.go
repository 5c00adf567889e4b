package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"sluice.dev/sluice/manifests"
)

func TestNoRuleHasAWildcard(t *testing.T) {
	for _, name := range []string{"sluice", "sluice-promoter", "sluice-bypasser"} {
		requireNoWildcard(t, name, typed(t, &rbacv1.ClusterRole{}, name).Rules)
	}
	requireNoWildcard(t, "sluice", typed(t, &rbacv1.Role{}, "sluice").Rules)
}

func requireNoWildcard(t *testing.T, role string, rules []rbacv1.PolicyRule) {
	t.Helper()
	require.NotEmpty(t, rules)
	for _, rule := range rules {
		for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs} {
			require.NotContains(t, words, "*", role)
		}
		require.Empty(t, rule.NonResourceURLs, role)
	}
}

func TestOutsideItsNamespaceSluiceOnlyReadsConfig(t *testing.T) {
	for _, rule := range rulesOn(typed(t, &rbacv1.ClusterRole{}, "sluice").Rules, "secrets", "configmaps") {
		require.Equal(t, []string{"get", "list", "watch"}, rule.Verbs)
	}
}

func TestInItsNamespaceSluiceWritesOnlyItsOwnSecrets(t *testing.T) {
	want := map[string][]string{
		"":                          {"create"},
		"sluice-ca sluice-hash-key": {"get", "update"},
		"sluice-serving-cert":       {"get"},
	}
	got := map[string][]string{}
	for _, rule := range rulesOn(typed(t, &rbacv1.Role{}, "sluice").Rules, "secrets") {
		got[strings.Join(rule.ResourceNames, " ")] = rule.Verbs
	}
	require.Equal(t, want, got)
}

func TestSluiceWritesOnlyItsOwnWebhookConfigurations(t *testing.T) {
	rules := rulesOn(typed(t, &rbacv1.ClusterRole{}, "sluice").Rules,
		"mutatingwebhookconfigurations", "validatingwebhookconfigurations")
	require.Len(t, rules, 2)
	require.Equal(t, []string{manifests.Name}, rules[0].ResourceNames)
	require.Equal(t, []string{manifests.Name, manifests.OwnershipName}, rules[1].ResourceNames)
	for _, rule := range rules {
		require.Equal(t, []string{"get", "patch"}, rule.Verbs)
	}
}

func TestSluiceCannotRaiseItsOwnPermissions(t *testing.T) {
	rules := slices.Concat(
		typed(t, &rbacv1.ClusterRole{}, "sluice").Rules,
		typed(t, &rbacv1.Role{}, "sluice").Rules,
	)
	require.Empty(t, rulesOn(rules, "roles", "rolebindings", "clusterroles", "clusterrolebindings", "serviceaccounts"))
	for _, rule := range rules {
		for _, verb := range []string{"escalate", "bind", "impersonate", "deletecollection"} {
			require.NotContains(t, rule.Verbs, verb)
		}
	}
}

// rulesOn returns the rules that name one of these resources.
func rulesOn(rules []rbacv1.PolicyRule, resources ...string) []rbacv1.PolicyRule {
	var found []rbacv1.PolicyRule
	for _, rule := range rules {
		named := slices.ContainsFunc(rule.Resources, func(r string) bool { return slices.Contains(resources, r) })
		if named {
			found = append(found, rule)
		}
	}
	return found
}

func TestPermissionsOfPeopleAreAggregatedToTheBuiltInRoles(t *testing.T) {
	tests := map[string]struct {
		role      string
		wantLabel string
		wantRules map[string][]string // verbs by resources
	}{
		"whoever edits workloads may promote and abort": {
			role:      "sluice-promoter",
			wantLabel: "rbac.authorization.k8s.io/aggregate-to-edit",
			wantRules: map[string][]string{"deployments statefulsets": {"promote", "abort"}},
		},
		"only who administers a namespace may bypass and force, and take a condition of sluice's off": {
			role:      "sluice-bypasser",
			wantLabel: "rbac.authorization.k8s.io/aggregate-to-admin",
			wantRules: map[string][]string{
				"deployments statefulsets daemonsets":    {"bypass", "force-conflicts"},
				"deployments/status statefulsets/status": {"update"},
				"httproutes grpcroutes":                  {"bypass"},
				"ingresses":                              {"bypass"},
				"virtualservices":                        {"bypass"},
				"apisixroutes":                           {"bypass"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			role := typed(t, &rbacv1.ClusterRole{}, test.role)
			require.Equal(t, map[string]string{"app.kubernetes.io/name": manifests.Name, test.wantLabel: "true"}, role.Labels)
			got := map[string][]string{}
			for _, rule := range role.Rules {
				require.Len(t, rule.APIGroups, 1)
				require.Equal(t, rule.APIGroups[0] == "apps", slices.ContainsFunc(rule.Resources, ofWorkloads), rule.Resources)
				got[strings.Join(rule.Resources, " ")] = rule.Verbs
			}
			require.Equal(t, test.wantRules, got)
		})
	}
}

func ofWorkloads(resource string) bool {
	kind, _, _ := strings.Cut(resource, "/")
	return slices.Contains([]string{"deployments", "statefulsets", "daemonsets"}, kind)
}
