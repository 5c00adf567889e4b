package keys

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
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

// space is a namespace with three Deployments, a StatefulSet and a DaemonSet that read GREETING of ConfigMap app.
type space struct {
	*harness.Namespace
	t *testing.T
}

const sluiceNamespace, keySecret = "sluice-system", "sluice-hash-key"

var deployments = []string{"api", "web", "worker"}

func workloads(t *testing.T) space {
	t.Helper()
	s := space{env.Namespace(t), t}
	app := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Data: map[string]string{"GREETING": "hello", "OTHER": "1"}}
	_, err := s.Admin.CoreV1().ConfigMaps(s.Name).Create(t.Context(), app, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, name := range deployments {
		b := builders.MakeDeployment(name).Replicas(2)
		reads(&b.Template().Spec)
		s.Create(b.Obj())
	}
	set := builders.MakeStatefulSet("db").Replicas(2).Obj()
	reads(&set.Spec.Template.Spec)
	s.CreateSet(set)
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}
	agent.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}
	agent.Spec.Template.Labels = agent.Spec.Selector.MatchLabels
	agent.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "example/app:v1"}}
	reads(&agent.Spec.Template.Spec)
	_, err = env.Client(t, "alice").AppsV1().DaemonSets(s.Name).Create(t.Context(), agent, metav1.CreateOptions{})
	require.NoError(t, err)
	s.wait("the DaemonSet has its pods", func() error {
		d := s.daemonSet()
		return expect(d.Status.DesiredNumberScheduled > 0 && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled, "it has not: %v", d.Status)
	})
	return s
}

func reads(spec *corev1.PodSpec) {
	c := &spec.Containers[0]
	c.Env = append(c.Env, corev1.EnvVar{Name: "GREETING", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "app"}, Key: "GREETING",
	}}})
}

func (s space) wait(what string, done func() error) {
	s.t.Helper()
	s.Eventually(what, func(context.Context) error { return done() })
}

func (s space) daemonSet() *appsv1.DaemonSet {
	s.t.Helper()
	d, err := s.Admin.AppsV1().DaemonSets(s.Name).Get(s.t.Context(), "agent", metav1.GetOptions{})
	require.NoError(s.t, err)
	return d
}

// held is a workload as stored.
type held struct {
	metav1.Object
	template corev1.PodTemplateSpec
}

func (s space) all() []held {
	s.t.Helper()
	var all []held
	for _, name := range deployments {
		d := s.Deployment(name)
		all = append(all, held{d, d.Spec.Template})
	}
	set := harness.Set{Namespace: s.Namespace}.Get()
	agent := s.daemonSet()
	return append(all, held{set, set.Spec.Template}, held{agent, agent.Spec.Template})
}

// notedUnder tells whether the controller has noted the config of every workload under a key.
func (s space) notedUnder(id string) func() error {
	return func() error {
		for _, w := range s.all() {
			if seen := hashing.DecodeSeen(w.GetAnnotations()); !strings.HasPrefix(seen.Digest, "v1:"+id+":") {
				return fmt.Errorf("what was seen of %s is %q", w.GetName(), seen.Digest)
			}
		}
		return nil
	}
}

// running returns the template of every workload, and the names and UIDs of all pods.
func (s space) running() map[string]string {
	s.t.Helper()
	running := map[string]string{}
	for _, w := range s.all() {
		raw, err := json.Marshal(w.template)
		require.NoError(s.t, err)
		running["template of "+w.GetName()] = string(raw)
	}
	pods, err := s.Admin.CoreV1().Pods(s.Name).List(s.t.Context(), metav1.ListOptions{})
	require.NoError(s.t, err)
	for _, pod := range pods.Items {
		running["pod "+pod.Name] = string(pod.UID)
	}
	return running
}

// changes shows that a change of the config is one release of each workload, with a digest under that key.
func (s space) changes(id string) {
	s.t.Helper()
	_, err := s.Admin.CoreV1().ConfigMaps(s.Name).
		Patch(s.t.Context(), "app", types.MergePatchType, []byte(`{"data":{"GREETING":"good day"}}`), metav1.PatchOptions{})
	require.NoError(s.t, err)
	for _, name := range deployments {
		r := s.WaitPhase(name, canary.Waiting, 1)
		require.Equal(s.t, "configmap/app: GREETING", r.Cause)
	}
	r := harness.Set{Namespace: s.Namespace}.WaitPhase(canary.Waiting, 1)
	require.Equal(s.t, "configmap/app: GREETING", r.Cause)
	s.wait("the DaemonSet rolled out", func() error {
		d := s.daemonSet()
		return expect(d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedNumberScheduled == d.Status.DesiredNumberScheduled &&
			strings.HasPrefix(d.Spec.Template.Annotations[hashing.AnnotationConfigHash], "v1:"+id+":"), "it did not: %v", d.Status)
	})
	for _, w := range s.all() {
		require.True(s.t, strings.HasPrefix(w.template.Annotations[hashing.AnnotationConfigHash], "v1:"+id+":"), w.GetName())
	}
	for _, name := range deployments {
		require.Len(s.t, s.ReplicaSets(name), 2, name)
	}
	revisions, err := s.Admin.AppsV1().ControllerRevisions(s.Name).List(s.t.Context(), metav1.ListOptions{LabelSelector: "app=agent"})
	require.NoError(s.t, err)
	require.Len(s.t, revisions.Items, 2)
}

// secret returns the key Secret, nil where there is none.
func (s space) secret() *corev1.Secret {
	s.t.Helper()
	list, err := s.Admin.CoreV1().Secrets(sluiceNamespace).List(s.t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + keySecret})
	require.NoError(s.t, err)
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

func (s space) exists() bool { return s.secret() != nil }

func (s space) keys() hashing.Keyring {
	s.t.Helper()
	secret := s.secret()
	require.NotNil(s.t, secret)
	keys, err := hashing.ParseKeyring(secret.Data)
	require.NoError(s.t, err)
	return keys
}

func (s space) rotation() hashing.Rotation {
	s.t.Helper()
	rotation, err := hashing.DecodeRotation(s.secret().Annotations)
	require.NoError(s.t, err)
	return rotation
}

func (s space) annotate(key, value string) {
	s.t.Helper()
	r := s.Command("admin", "kubectl", "--namespace="+sluiceNamespace, "annotate", "--overwrite", "secret", keySecret, key+"="+value)
	require.Zero(s.t, r.Code, r.String())
}

func (s space) deleteSecret() {
	s.t.Helper()
	require.NoError(s.t, s.Admin.CoreV1().Secrets(sluiceNamespace).Delete(s.t.Context(), keySecret, metav1.DeleteOptions{}))
}

// leaksNothing looks for the keys in sluice's log, in all Events and in what it wrote here.
func (s space) leaksNothing() {
	s.t.Helper()
	log, err := os.ReadFile(env.SluiceLog())
	require.NoError(s.t, err)
	events, err := s.Admin.CoreV1().Events("").List(s.t.Context(), metav1.ListOptions{})
	require.NoError(s.t, err)
	told, err := json.Marshal(events)
	require.NoError(s.t, err)
	everything := string(log) + string(told) + fmt.Sprint(env.Proxy.Writes(s.Name))
	require.Contains(s.t, everything, s.keys().Current(), "its id is public")
	for name, value := range s.keys().Data() {
		if name == "current" {
			continue
		}
		for _, leak := range []string{string(value), hex.EncodeToString(value), base64.StdEncoding.EncodeToString(value), strings.Trim(fmt.Sprint(value), "[]")} {
			require.False(s.t, strings.Contains(everything, leak), "key %s got out", name)
		}
	}
}
