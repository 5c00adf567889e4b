package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

func configMap(value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Data:       map[string]string{"GREETING": value},
	}
}

func withConfig(b *builders.StatefulSetBuilder) *appsv1.StatefulSet {
	set := b.Obj()
	set.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "app"},
	}}}
	return set
}

// TestConfigAppliedAfterItsSetBelongsToTheSameRelease: no pod is made of the version with the old config.
func TestConfigAppliedAfterItsSetBelongsToTheSameRelease(t *testing.T) {
	t.Parallel()
	s := harness.Set{Namespace: env.Namespace(t, harness.Steps("50%"))}
	s.Kubectl("apply", "-f", s.Manifest(configMap("hello")), "-f", s.Manifest(withConfig(two())))
	s.WaitComplete()
	digest := s.Get().Spec.Template.Annotations[hashing.AnnotationConfigHash]
	require.NotEmpty(t, digest)
	s.Kubectl("apply", "-f", s.Manifest(withConfig(two().Image(v2))), "-f", s.Manifest(configMap("good day")))
	requireHeld(t, s, 1, v1, v2)
	require.NotEqual(t, digest, s.Get().Spec.Template.Annotations[hashing.AnnotationConfigHash])
	s.Approve()
	s.WaitStable(v2)
	require.Len(t, revisionsRun(s), 2, "one change of config and image is one new revision of pods")
	s.Quiet()
}

func TestTheOldVersionRevertsAlsoWhenItsConfigChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := harness.Set{Namespace: env.Namespace(t, harness.Steps("50%"))}
	s.Kubectl("apply", "-f", s.Manifest(configMap("hello")), "-f", s.Manifest(withConfig(two())))
	s.WaitComplete()
	before, stable := s.Get().Spec.Template, s.Pods()
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	s.Kubectl("apply", "-f", s.Manifest(configMap("good day")))
	s.SetImage(v1)
	s.WaitStable(v1)
	require.Equal(t, before, s.Get().Spec.Template, "with the digest that its pods run")
	requireKept(t, stable, s.Pods(), "db-0")
}
