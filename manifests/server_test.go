package manifests_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"sluice.dev/sluice/manifests"
)

func deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	return typed(t, &appsv1.Deployment{}, manifests.Name)
}

func container(t *testing.T) corev1.Container {
	t.Helper()
	containers := deployment(t).Spec.Template.Spec.Containers
	require.Len(t, containers, 1)
	return containers[0]
}

func TestThePodMeetsTheRestrictedPodSecurityOfItsNamespace(t *testing.T) {
	namespace := typed(t, &corev1.Namespace{}, manifests.Namespace)
	for _, mode := range []string{api.EnforceLevelLabel, api.AuditLevelLabel, api.WarnLevelLabel} {
		require.Equal(t, string(api.LevelRestricted), namespace.Labels[mode], mode)
	}
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}

	template := deployment(t).Spec.Template
	for _, result := range checks.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
		require.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
	}
}

func TestTheImageIsTheVersionsOwn(t *testing.T) {
	require.Equal(t, "ghcr.io/sluice-dev/sluice:"+manifests.Version, container(t).Image)
	require.Equal(t, []string{"serve"}, container(t).Args)
}

func TestMemoryIsLimitedAndCPUIsNot(t *testing.T) {
	resources := container(t).Resources
	require.False(t, resources.Requests.Cpu().IsZero())
	require.False(t, resources.Requests.Memory().IsZero())
	require.False(t, resources.Limits.Memory().IsZero())
	require.True(t, resources.Limits.Cpu().IsZero())
}

func TestEveryPortThatIsNamedElsewhereIsThePods(t *testing.T) {
	ports := map[string]int32{}
	for _, port := range container(t).Ports {
		ports[port.Name] = port.ContainerPort
	}
	require.Equal(t, map[string]int32{"webhook": 9443, "metrics": 8080, "health": 8081}, ports)

	service := typed(t, &corev1.Service{}, manifests.Name)
	require.Len(t, service.Spec.Ports, 1)
	require.EqualValues(t, 443, service.Spec.Ports[0].Port)
	require.Contains(t, ports, service.Spec.Ports[0].TargetPort.StrVal)
	require.Contains(t, ports, container(t).LivenessProbe.HTTPGet.Port.StrVal)
	require.Contains(t, ports, container(t).ReadinessProbe.HTTPGet.Port.StrVal)
	for _, rule := range typed(t, &networkingv1.NetworkPolicy{}, manifests.Name).Spec.Ingress {
		require.Empty(t, rule.From, "an API server has no identity that a policy could name")
		for _, port := range rule.Ports {
			require.Contains(t, ports, port.Port.StrVal)
		}
	}
}

func TestEverySelectorSelectsThePods(t *testing.T) {
	pod := labels.Set(deployment(t).Spec.Template.Labels)
	selectors := map[string]map[string]string{
		"Deployment":          deployment(t).Spec.Selector.MatchLabels,
		"Service":             typed(t, &corev1.Service{}, manifests.Name).Spec.Selector,
		"PodDisruptionBudget": typed(t, &policyv1.PodDisruptionBudget{}, manifests.Name).Spec.Selector.MatchLabels,
		"NetworkPolicy":       typed(t, &networkingv1.NetworkPolicy{}, manifests.Name).Spec.PodSelector.MatchLabels,
	}
	for _, spread := range deployment(t).Spec.Template.Spec.TopologySpreadConstraints {
		selectors["spread over "+spread.TopologyKey] = spread.LabelSelector.MatchLabels
	}
	require.Len(t, selectors, 6)
	for name, selector := range selectors {
		require.NotEmpty(t, selector, name)
		require.True(t, labels.SelectorFromSet(selector).Matches(pod), name)
	}
}

func TestOneReplicaMayBeAwayAtATime(t *testing.T) {
	spec := deployment(t).Spec
	require.EqualValues(t, 2, *spec.Replicas)
	require.Equal(t, 0, spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	require.Equal(t, 1, typed(t, &policyv1.PodDisruptionBudget{}, manifests.Name).Spec.MaxUnavailable.IntValue())
	require.Equal(t, "system-cluster-critical", spec.Template.Spec.PriorityClassName)
}

func TestAReplicaIsGivenTheTimeToDrain(t *testing.T) {
	const servedOn, slack = 15 * time.Second, 10 * time.Second
	var longestRequest int32
	for _, entry := range entries(t) {
		longestRequest = max(longestRequest, *entry.TimeoutSeconds)
	}
	needed := servedOn + time.Duration(longestRequest)*time.Second + slack

	given := time.Duration(*deployment(t).Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second

	require.GreaterOrEqual(t, given, needed)
}
