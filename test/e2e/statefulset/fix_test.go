package statefulset

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/test/e2e/harness"
)

// version is what one file or one set of values says.
type version struct {
	image string
	// legacy: with the env variable and the sidecar that later versions have dropped.
	legacy   bool
	replicas int
}

// file is the version as a file, which states a partition of 0.
func (v version) file() *appsv1.StatefulSet {
	set := db().Replicas(int32(v.replicas)).Partition(0).Image(v.image).Obj()
	spec := &set.Spec.Template.Spec
	spec.Containers[0].Env = []corev1.EnvVar{{Name: "GREETING", Value: "hello"}}
	if v.legacy {
		spec.Containers[0].Env = append(spec.Containers[0].Env, corev1.EnvVar{Name: "FLAG_OLD", Value: "on"})
		spec.Containers = append(spec.Containers, corev1.Container{Name: "sidecar", Image: "example/sidecar:v1"})
	}
	return set
}

// values is the version for the chart.
func (v version) values() string {
	return fmt.Sprintf("image=%s,legacy=%t,replicas=%d", v.image, v.legacy, v.replicas)
}

// deliveries are the clients by which versions come.
func deliveries() map[string]func(*testing.T, harness.Set, version) harness.Result {
	all := map[string]func(*testing.T, harness.Set, version) harness.Result{}
	for name, helm := range helms {
		all[name] = func(t *testing.T, s harness.Set, v version) harness.Result {
			t.Helper()
			return helmer(t, s, helm.tool)("upgrade", v.values(), "--install")
		}
	}
	for name, flags := range map[string][]string{"kubectl apply": {}, "kubectl apply --server-side": {"--server-side"}} {
		all[name] = func(t *testing.T, s harness.Set, v version) harness.Result {
			t.Helper()
			return s.Kubectl(append([]string{"apply", "-f", s.Manifest(v.file())}, flags...)...)
		}
	}
	return all
}

// pristine is the template as the API server makes it of the version alone.
func pristine(t *testing.T, s harness.Set, name string, v version) corev1.PodTemplateSpec {
	t.Helper()
	raw, err := yaml.Marshal(v.file())
	require.NoError(t, err)
	if helm, ok := helms[name]; ok {
		raw = []byte(helmer(t, s, helm.tool)("template", v.values()).Stdout)
	}
	var set appsv1.StatefulSet
	require.NoError(t, yaml.Unmarshal(raw, &set))
	set.Name = "pristine"
	created, err := env.Client(t, "alice").AppsV1().StatefulSets(s.Name).Create(t.Context(), &set, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	return created.Spec.Template
}

func TestAFixAfterAnAbortedVersionIsExactlyTheFix(t *testing.T) {
	t.Parallel()
	for name, deliver := range deliveries() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t)}
			deliver(t, s, version{v1, true, 3})
			s.WaitComplete()
			stable := s.Pods()
			deliver(t, s, version{v2, false, 3})
			requireHeld(t, s, 1, v1, v1, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1)

			aborted := s.Release()
			again := deliver(t, s, version{v2, false, 4})
			require.Equal(t, []string{abortedWarning(s, aborted.Name())}, again.Warnings(), again)
			require.Equal(t, aborted, s.Release())
			s.WaitImages(v1, v1, v1, v1)
			require.EqualValues(t, harness.Closed, s.Partition())

			s.Retry()
			requireHeld(t, s, 1, v1, v1, v1, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1, v1)
			fix := version{v3, false, 4}
			deliver(t, s, fix)
			requireHeld(t, s, 1, v1, v1, v1, v3)
			requireKept(t, stable, s.Pods(), "db-0", "db-1")
			s.Approve()
			s.WaitStable(v3)
			require.Equal(t, pristine(t, s, name, fix), s.Get().Spec.Template)
			require.Zero(t, s.Partition())
		})
	}
}

func abortedWarning(s harness.Set, release string) string {
	return fmt.Sprintf("sluice: release %s of statefulset/db is still held and aborted: aborted by alice. Apply another version, or: "+
		"kubectl annotate statefulset/db -n %s --overwrite sluice.dev/retry=%[1]s", release, s.Name)
}
