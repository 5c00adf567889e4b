package ownership

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/webhook/ownership"
)

// metricsAPI serves what the autoscaler reads: a custom resource in the place of the metrics API, so that a
// test says how much memory each pod uses.
const metricsAPI = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: pods.metrics.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, for tests"}
spec:
  group: metrics.k8s.io
  scope: Namespaced
  names: {plural: pods, kind: PodMetrics}
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

const autoscaler = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 3
  maxReplicas: 8
  metrics:
  - type: Resource
    resource: {name: memory, target: {type: AverageValue, averageValue: 100Mi}}
  behavior:
    scaleUp: {policies: [{type: Pods, value: 10, periodSeconds: 1}]}
    scaleDown: {selectPolicy: Disabled}
`

// load says that the pods of web use so many MiB together.
func load(t *testing.T, n *harness.Namespace, total int) {
	t.Helper()
	var list strings.Builder
	pods := n.LivePods(t.Context(), "web")
	for _, pod := range pods {
		labels, err := json.Marshal(pod.Labels)
		require.NoError(t, err)
		fmt.Fprintf(&list, "---\n{apiVersion: metrics.k8s.io/v1beta1, kind: PodMetrics, metadata: {name: %s, labels: %s}, timestamp: %q, window: 10s, containers: [{name: web, usage: {cpu: 1m, memory: %dMi}}]}\n",
			pod.Name, labels, time.Now().UTC().Format(time.RFC3339), total/len(pods))
	}
	for _, args := range [][]string{
		{"delete", "pods.metrics.k8s.io", "--all"}, // of pods that are gone, too
		{"create", "-f", n.File("metrics.yaml", []byte(list.String()))},
	} {
		r := n.Command("admin", "kubectl", args...)
		require.Zero(t, r.Code, r)
	}
}

// busy has the autoscaler make 8 of the 3 pods of web, and then leaves it no reason to do so again.
func busy(t *testing.T, n *harness.Namespace) {
	t.Helper()
	available := func(want int32) func(*appsv1.Deployment) bool {
		return func(d *appsv1.Deployment) bool {
			return *d.Spec.Replicas == want && d.Status.Replicas == want && d.Status.AvailableReplicas == want
		}
	}
	n.WaitDeployment("web", "it has 3 pods", available(3))
	load(t, n, 800)
	n.WaitDeployment("web", "the autoscaler made it 8", available(8))
	load(t, n, 80)
}

// The chart says 3 and the autoscaler 8: what a `helm upgrade` does about it, by mode.
func TestAChartAndAnAutoscaler(t *testing.T) {
	const hpa = `"kube-controller-manager" with subresource "scale" using apps/v1`
	n := env.Namespace(t)
	crd := n.Command("admin", "kubectl", "apply", "-f", n.File("crd.yaml", []byte(metricsAPI)))
	require.Zero(t, crd.Code, crd)
	upgrade := func(user, tool string, flags ...string) harness.Result {
		return n.Command(user, tool, append([]string{"upgrade", "web", harness.Chart(), "--set", "replicas=3"}, flags...)...)
	}
	n.Run("helm3", "install", "web", harness.Chart(), "--set", "replicas=3")
	n.WaitStable("web")
	n.WaitConfigSeen("web")
	n.Kubectl("apply", "-f", n.File("hpa.yaml", []byte(autoscaler)))
	busy(t, n)

	// By default: a warning, and the autoscaler has to start over.
	warned := upgrade("alice", "helm3")
	require.Zero(t, warned.Code, warned)
	require.Equal(t, []string{"sluice: this write takes .spec.replicas from " + hpa + ", which sluice.dev/ownership=enforce would refuse"}, warned.Warnings(), warned)
	require.EqualValues(t, 3, *n.Deployment("web").Spec.Replicas)
	busy(t, n)

	n.Annotate(map[string]string{ownership.ModeAnnotation: "enforce"})
	refused := upgrade("alice", "helm3")
	require.NotZero(t, refused.Code)
	conflict := "conflict with " + hpa + ": .spec.replicas"
	require.Contains(t, refused.Stderr, "Update failed with 1 conflict: "+conflict)
	for _, way := range []string{"1. agree: ", "2. give it up: ", "3. force it: helm upgrade --server-side=true --force-conflicts RELEASE CHART (Helm 4), or the same upgrade with the annotation sluice.dev/force-conflicts: "} {
		require.Contains(t, refused.Stderr, way, "Helm shows the refusal whole")
	}
	require.EqualValues(t, 8, *n.Deployment("web").Spec.Replicas)

	// What the API server itself says to Helm 4, which applies server-side, in the same words.
	applied := upgrade("alice", "helm4", "--server-side=true")
	require.NotZero(t, applied.Code)
	require.Contains(t, applied.Stderr, conflict)

	force := func(user string) harness.Result {
		version := n.Deployment("web").ResourceVersion
		return upgrade(user, "helm3", "--set-string", `annotations.sluice\.dev/force-conflicts=`+version)
	}
	mayNot := force("alice")
	require.NotZero(t, mayNot.Code)
	require.Contains(t, mayNot.Stderr, `"alice" may not force it: that needs the verb "force-conflicts" on deployments.apps.`)
	n.Eventually("somebody who may forces it", func(context.Context) error {
		if r := force("admin"); r.Code != 0 { // the autoscaler may have written in between
			return fmt.Errorf("%s", r)
		}
		return nil
	})
	require.Contains(t, n.WaitEvent("web", "ForcedConflicts"), "admin took .spec.replicas of "+hpa+" by force")
	require.Contains(t, n.AuditAnnotations("deployments", "owners.sluice.dev/forced"), ".spec.replicas of "+hpa)
	require.EqualValues(t, 3, *n.Deployment("web").Spec.Replicas)

	// Once: the annotation is still there, and means the version that it names.
	busy(t, n)
	again := upgrade("admin", "helm3", "--reuse-values")
	require.NotZero(t, again.Code)
	require.Contains(t, again.Stderr, conflict)
	require.EqualValues(t, 8, *n.Deployment("web").Spec.Replicas)
	require.NotEmpty(t, n.Deployment("web").Annotations[ownership.ForceAnnotation])
}
