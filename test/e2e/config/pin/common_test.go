package pin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// space is a namespace whose config is pinned.
type space struct {
	*harness.Namespace
	t *testing.T
}

var install sync.Once

var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// pinned is a namespace with what these tests need in it: ConfigMap app and Secret db.
func pinned(t *testing.T, options ...harness.Option) space {
	t.Helper()
	s := space{env.Namespace(t, append(options, harness.Annotation(canary.ConfigAnnotation, hashing.ConfigPin))...), t}
	s.configMap("flags", "debug", "off")
	install.Do(s.installPolicy)
	s.configMap("app", "GREETING", "hello", "UNUSED", "1")
	s.secret("db", corev1.SecretTypeBasicAuth, "username", "root", "password", "swordfish")
	return s
}

// installPolicy does what a person does, and waits until the API server has taken notice.
func (s space) installPolicy() {
	s.t.Helper()
	r := s.Command("admin", "kubectl", "apply", "-f", filepath.Join(harness.Root(), "manifests", "pin.yaml"))
	require.Zero(s.t, r.Code, r.String())
	s.Eventually("the policy is in force", func(ctx context.Context) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Annotations: map[string]string{
			hashing.AnnotationConfigHash: "v1:00000000:" + strings.Repeat("a", 64) + ":configmap/app",
		}}}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: v1}}
		reads(&pod.Spec)
		made, err := s.Admin.CoreV1().Pods(s.Name).Create(ctx, pod, dryRun)
		if err == nil && made.Spec.Containers[0].Env[0].ValueFrom.ConfigMapKeyRef.Name == "app" {
			err = errors.New("it is not")
		}
		if err != nil {
			return err
		}
		_, err = env.Client(s.t, "alice").AppsV1().Deployments(s.Name).Create(ctx, builders.MakeDeployment("probe").EnvFromConfigMap("flags").Obj(), dryRun)
		return err
	})
}

// web is a Deployment of three pods that reads GREETING of ConfigMap app and all of Secret db.
func web() *builders.DeploymentBuilder {
	b := builders.MakeDeployment("web").Replicas(3)
	reads(&b.Template().Spec)
	return b
}

func reads(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "GREETING", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "app"}, Key: "GREETING",
	}}})
	c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "db"},
	}})
}

func pairs(keysAndValues []string) map[string]string {
	data := map[string]string{}
	for i := 0; i < len(keysAndValues); i += 2 {
		data[keysAndValues[i]] = keysAndValues[i+1]
	}
	return data
}

func (s space) configMap(name string, keysAndValues ...string) {
	s.t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: pairs(keysAndValues)}
	_, err := s.Admin.CoreV1().ConfigMaps(s.Name).Create(s.t.Context(), object, metav1.CreateOptions{})
	require.NoError(s.t, err)
}

func (s space) secret(name string, kind corev1.SecretType, keysAndValues ...string) {
	s.t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, StringData: pairs(keysAndValues)}
	_, err := s.Admin.CoreV1().Secrets(s.Name).Create(s.t.Context(), object, metav1.CreateOptions{})
	require.NoError(s.t, err)
}

// set changes one key of a ConfigMap.
func (s space) set(name, key, value string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"data":{%q:%q}}`, key, value)
	_, err := s.Admin.CoreV1().ConfigMaps(s.Name).Patch(s.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s.t, err)
}

func digestOf(template corev1.PodTemplateSpec) string {
	return template.Annotations[hashing.AnnotationConfigHash]
}

// greeting returns the ConfigMap that a pod's env refers to, and what its key holds.
func (s space) greeting(pod corev1.Pod) (name, value string) {
	s.t.Helper()
	ref := pod.Spec.Containers[0].Env[0].ValueFrom.ConfigMapKeyRef
	object, err := s.Admin.CoreV1().ConfigMaps(s.Name).Get(s.t.Context(), ref.Name, metav1.GetOptions{})
	require.NoError(s.t, err)
	return ref.Name, object.Data[ref.Key]
}

// greetings counts what the live pods of a Deployment read.
func (s space) greetings(name string) map[string]int {
	s.t.Helper()
	read := map[string]int{}
	for _, pod := range s.LivePods(s.t.Context(), name) {
		_, value := s.greeting(pod)
		read[value]++
	}
	return read
}

// restart deletes the pods that read a greeting and waits until as many others are there.
func (s space) restart(name, greeting string) {
	s.t.Helper()
	ctx := s.t.Context()
	gone := map[types.UID]bool{}
	for _, pod := range s.LivePods(ctx, name) {
		if _, value := s.greeting(pod); value == greeting {
			gone[pod.UID] = true
			require.NoError(s.t, s.Admin.CoreV1().Pods(s.Name).Delete(ctx, pod.Name, metav1.DeleteOptions{}))
		}
	}
	require.NotEmpty(s.t, gone)
	s.Eventually("other pods are there", func(ctx context.Context) error {
		fresh := 0
		for _, pod := range s.LivePods(ctx, name) {
			if _, value := s.greeting(pod); value == greeting && !gone[pod.UID] {
				fresh++
			}
		}
		if fresh != len(gone) {
			return fmt.Errorf("%d of %d", fresh, len(gone))
		}
		return nil
	})
}
