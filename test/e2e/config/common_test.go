package config

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// space is a namespace with what these tests do in it.
type space struct {
	*harness.Namespace
	t *testing.T
}

func namespace(t *testing.T, options ...harness.Option) space {
	t.Parallel()
	return space{env.Namespace(t, options...), t}
}

// web is a Deployment of three pods that reads GREETING of ConfigMap app and all of Secret db.
func web() *builders.DeploymentBuilder {
	b := builders.MakeDeployment("web").Replicas(3)
	reads(&b.Template().Spec)
	return b
}

// reads makes the first container read GREETING of ConfigMap app and all of Secret db.
func reads(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "GREETING", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "app"}, Key: "GREETING",
	}}})
	c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "db"},
	}})
}

// configured creates ConfigMap app and Secret db.
func (s space) configured() space {
	s.configMap("app", "GREETING", "hello", "UNUSED", "1")
	s.secret("db", "PASSWORD", "swordfish")
	return s
}

// pairs makes a map of keys and values in turn.
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

func (s space) secret(name string, keysAndValues ...string) {
	s.t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: pairs(keysAndValues)}
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

// setSecret changes one key of a Secret.
func (s space) setSecret(name, key, value string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"stringData":{%q:%q}}`, key, value)
	_, err := s.Admin.CoreV1().Secrets(s.Name).Patch(s.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s.t, err)
}

func digestOf(template corev1.PodTemplateSpec) string {
	return template.Annotations[hashing.AnnotationConfigHash]
}

func (s space) digest(name string) string {
	s.t.Helper()
	return digestOf(s.Deployment(name).Spec.Template)
}

// held waits until a release of a config change waits for approval, and returns it.
func (s space) held(name string) *canary.Release {
	s.t.Helper()
	d := s.WaitDeployment(name, "a release waits for approval", func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == canary.Waiting && r.Since != nil
	})
	r, err := canary.DecodeRelease(d.Annotations)
	require.NoError(s.t, err)
	return r
}

// looked returns when the controller has looked at every workload of the namespace whose config changed
// before: what changes last is looked at last, and a workload without pods shows it.
func (s space) looked() {
	s.t.Helper()
	const sentinel = "sentinel"
	ctx := s.t.Context()
	_, err := s.Admin.CoreV1().ConfigMaps(s.Name).Get(ctx, sentinel, metav1.GetOptions{})
	if err != nil {
		s.configMap(sentinel, "N", "0")
		_, err := s.Admin.AppsV1().Deployments(s.Name).
			Create(ctx, builders.MakeDeployment(sentinel).Replicas(0).EnvFromConfigMap(sentinel).Obj(), metav1.CreateOptions{})
		require.NoError(s.t, err)
	}
	before := s.digest(sentinel)
	s.set(sentinel, "N", "after "+before)
	s.WaitDeployment(sentinel, "its config was looked at", func(d *appsv1.Deployment) bool { return digestOf(d.Spec.Template) != before })
}

// seen waits until the controller has noted what the config of a workload is.
func (s space) seen(name string) hashing.Seen {
	s.t.Helper()
	d := s.WaitDeployment(name, "its config was seen", func(d *appsv1.Deployment) bool {
		hash, err := canary.HashTemplate(raw(d.Spec.Template))
		return err == nil && hashing.DecodeSeen(d.Annotations).StandsFor(digestOf(d.Spec.Template), hash)
	})
	return hashing.DecodeSeen(d.Annotations)
}

// versions counts the ReplicaSets that a Deployment has, with and without pods.
func (s space) versions(name string, want int) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%s has %d ReplicaSets", name, want), func(context.Context) error {
		if sets := s.ReplicaSets(name); len(sets) != want {
			return fmt.Errorf("it has %d", len(sets))
		}
		return nil
	})
}

// event waits for an Event on an object and returns what it says.
func (s space) event(name, reason string) string {
	s.t.Helper()
	var note string
	s.Eventually("an Event "+reason+" on "+name, func(ctx context.Context) error {
		events, err := s.Admin.CoreV1().Events(s.Name).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason + ",involvedObject.name=" + name})
		if err != nil || len(events.Items) == 0 {
			return errors.Join(err, errors.New("there is none"))
		}
		note = events.Items[len(events.Items)-1].Message
		return nil
	})
	return note
}
