package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string]string{"GREETING": value},
	}
}

// pairs is one file of twenty ConfigMaps and the Deployments that use them.
func pairs(t *testing.T, deploymentFirst bool, image, value string) []byte {
	t.Helper()
	var documents []string
	for i := range 20 {
		name := fmt.Sprintf("web-%d", i)
		objects := []any{configMap(name, value), builders.MakeDeployment(name).Image(image).EnvFromConfigMap(name).Obj()}
		if deploymentFirst {
			objects[0], objects[1] = objects[1], objects[0]
		}
		for _, o := range objects {
			raw, err := yaml.Marshal(o)
			require.NoError(t, err)
			documents = append(documents, strings.ReplaceAll(string(raw), "status: {}\n", ""))
		}
	}
	return []byte(strings.Join(documents, "---\n"))
}

// setsPerDeployment counts the ReplicaSets that were ever made for each Deployment.
func setsPerDeployment(events []watch.Event) map[string]int {
	seen, counts := map[types.UID]bool{}, map[string]int{}
	for _, e := range events {
		if e.ReplicaSet == nil || seen[e.ReplicaSet.UID] || len(e.ReplicaSet.OwnerReferences) == 0 {
			continue
		}
		seen[e.ReplicaSet.UID] = true
		counts[e.ReplicaSet.OwnerReferences[0].Name]++
	}
	return counts
}

func TestConfigAndDeploymentInOneApplyAreOneRollout(t *testing.T) {
	t.Parallel()
	for name, deploymentFirst := range map[string]bool{"the ConfigMap first": false, "the Deployment first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Kubectl("apply", "-f", n.File("first.yaml", pairs(t, deploymentFirst, v1, "hello")))
			n.Kubectl("wait", "deployments", "--all", "--for=condition=Available", "--timeout=60s")
			for name, count := range setsPerDeployment(n.Recorded()) {
				require.Equal(t, 1, count, name)
			}

			n.Kubectl("apply", "-f", n.File("second.yaml", pairs(t, deploymentFirst, v2, "good day")))
			for i := range 20 {
				n.WaitPhase(fmt.Sprintf("web-%d", i), canary.Waiting, 1)
				n.Mark(fmt.Sprintf("web-%d", i), watch.Approved)
			}
			n.Kubectl(append([]string{"rollout", "resume"}, deploymentNames(20)...)...)
			for i := range 20 {
				d := n.WaitStable(fmt.Sprintf("web-%d", i))
				require.NotEmpty(t, d.Spec.Template.Annotations[hashing.AnnotationConfigHash])
			}
			counts := setsPerDeployment(n.Recorded())
			require.Len(t, counts, 20)
			for name, count := range counts {
				require.Equal(t, 2, count, "%s: one change of config and image is one new ReplicaSet", name)
			}
		})
	}
}

func deploymentNames(count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("deployment/web-%d", i))
	}
	return names
}

func TestAnUpdateThatTouchesNeitherTemplateNorConfigAsksNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	n.WaitConfigSeen("web")
	n.Quiet("web") // the config controller looks once more after it has noted what it saw
	reads, writes := env.Proxy.Reads(n.Name), env.Proxy.Writes(n.Name)
	before := n.Deployment("web")
	for i := range 10 {
		_, err := n.Patch("web", types.MergePatchType, fmt.Sprintf(`{"metadata":{"annotations":{"example.com/note":"%d"}}}`, i))
		require.NoError(t, err)
	}
	after := n.Deployment("web")
	require.Equal(t, reads, env.Proxy.Reads(n.Name), "sluice reads nothing")
	require.Equal(t, writes, env.Proxy.Writes(n.Name))
	require.Equal(t, before.Spec, after.Spec)
}

func createConfigMap(t *testing.T, n *harness.Namespace, value string) {
	t.Helper()
	_, err := n.Admin.CoreV1().ConfigMaps(n.Name).Create(t.Context(), configMap("app", value), createOptions)
	require.NoError(t, err)
}

func updateConfigMap(t *testing.T, n *harness.Namespace, value string) {
	t.Helper()
	_, err := n.Admin.CoreV1().ConfigMaps(n.Name).Update(t.Context(), configMap("app", value), updateOptions)
	require.NoError(t, err)
}

func TestAMissingConfigMapIsNamedAndItsArrivalRollsNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	result := n.Kubectl("create", "-f", n.Manifest(web().EnvFromConfigMap("app").Obj()))
	require.Contains(t, strings.Join(result.Warnings(), "\n"), `configmap "app"`)
	require.Contains(t, strings.Join(result.Warnings(), "\n"), "does not exist")
	n.WaitStable("web")
	createConfigMap(t, n, "hello")
	n.Quiet("web")
	require.Equal(t, 1, replicaSetsMade(n.Recorded()))
}

func TestADryRunWithConfigGivesTheSameDigest(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	digest := func(options metav1.PatchOptions) string {
		d, err := env.Client(t, "alice").AppsV1().Deployments(n.Name).
			Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patchImage(v2)), options)
		require.NoError(t, err)
		return d.Spec.Template.Annotations[hashing.AnnotationConfigHash]
	}
	dry := digest(metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	require.NotEmpty(t, dry)
	n.Quiet("web")
	events, err := n.Admin.CoreV1().Events(n.Name).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=ReleaseHeld"})
	require.NoError(t, err)
	require.Empty(t, events.Items)
	require.Equal(t, dry, digest(patchOptions))
}

func TestATemplateWithAnyAnnotationsGetsItsDigest(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*appsv1.Deployment){
		"no annotations":    func(d *appsv1.Deployment) { d.Spec.Template.Annotations = nil },
		"empty annotations": func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{} },
		"some annotations":  func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"a/b": "c", "d": ""} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			createConfigMap(t, n, "hello")
			d := web().EnvFromConfigMap("app").Obj()
			edit(d)
			want := len(d.Spec.Template.Annotations) + 1
			stored := n.Create(d)
			require.NotEmpty(t, stored.Spec.Template.Annotations[hashing.AnnotationConfigHash])
			require.Len(t, stored.Spec.Template.Annotations, want)
			require.Equal(t, 1, replicaSetsMade(n.Recorded()))
		})
	}
}

func TestTheOldVersionRevertsAlsoWhenItsConfigChangedMeanwhile(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	stable := n.PodsOf("web", v1)
	before := n.Deployment("web").Spec.Template
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	updateConfigMap(t, n, "good day")
	n.SetImage("web", v1)
	d := n.WaitStable("web")
	require.Equal(t, before, d.Spec.Template, "with the digest that its pods run")
	require.Equal(t, stable, n.PodsOf("web", v1))

	release := n.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, release.Stable.Hash, release.Canary.Hash, "that the config changed is a release of its own")
	require.Subset(t, n.PodsOf("web", v1), stable)
}
