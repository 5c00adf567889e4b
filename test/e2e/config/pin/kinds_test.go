package pin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAStatefulSetReadsSnapshots(t *testing.T) {
	s := pinned(t)
	built := builders.MakeStatefulSet("db").Replicas(3).Obj()
	reads(&built.Spec.Template.Spec)
	set := s.CreateSet(built)
	set.Wait("its config was seen", func(set *appsv1.StatefulSet) bool { return set.Annotations[canary.ConfigSeenAnnotation] != "" })
	read := func() map[string]int {
		counts := map[string]int{}
		for _, pod := range set.Pods() {
			_, value := s.greeting(pod)
			counts[value]++
		}
		return counts
	}
	require.Equal(t, map[string]int{"hello": 3}, read())

	s.set("app", "GREETING", "good day")
	set.WaitPhase(canary.Waiting, 1)
	require.Equal(t, map[string]int{"hello": 2, "good day": 1}, read())
	require.NoError(t, s.Admin.CoreV1().Pods(s.Name).Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	s.Unjudged() // a stable pod is missing for a moment
	s.Eventually("db-0 is back", func(context.Context) error {
		if len(set.Pods()) != 3 {
			return errors.New("it is not")
		}
		return nil
	})
	require.Equal(t, map[string]int{"hello": 2, "good day": 1}, read(), "a stable pod that restarts reads the old content")

	set.Abort()
	set.WaitImages(v1, v1, v1)
	s.Eventually("all read the old content", func(context.Context) error {
		if counts := read(); counts["hello"] != 3 {
			return errors.New(fmt.Sprint(counts))
		}
		return nil
	})
	require.Equal(t, "app", set.Get().Spec.Template.Spec.Containers[0].Env[0].ValueFrom.ConfigMapKeyRef.Name)
}

func TestADaemonSetReadsSnapshots(t *testing.T) {
	s := pinned(t)
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}
	agent.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}}
	agent.Spec.Template.Labels = agent.Spec.Selector.MatchLabels
	agent.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: v1}}
	reads(&agent.Spec.Template.Spec)
	_, err := env.Client(t, "alice").AppsV1().DaemonSets(s.Name).Create(t.Context(), agent, metav1.CreateOptions{})
	require.NoError(t, err)
	all := func(greeting string) {
		t.Helper()
		s.Eventually("all read "+greeting, func(ctx context.Context) error {
			d, err := s.Admin.AppsV1().DaemonSets(s.Name).Get(ctx, "agent", metav1.GetOptions{})
			if err != nil || d.Status.NumberAvailable == 0 || d.Annotations[canary.ConfigSeenAnnotation] == "" {
				return errors.Join(err, errors.New("it is not there"))
			}
			pods, err := s.Admin.CoreV1().Pods(s.Name).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			for _, pod := range pods.Items {
				if _, value := s.greeting(pod); value != greeting {
					return fmt.Errorf("%s reads %s", pod.Name, value)
				}
			}
			return nil
		})
	}
	all("hello")
	s.set("app", "GREETING", "good day")
	all("good day")
}

func TestEveryPlaceOfAPodReadsItsSnapshot(t *testing.T) {
	s := pinned(t)
	s.secret("tls", corev1.SecretTypeTLS, corev1.TLSCertKey, "certificate", corev1.TLSPrivateKeyKey, "key")
	s.secret("renewed", corev1.SecretTypeOpaque, "token", "1")
	_, err := s.Admin.CoreV1().Secrets(s.Name).Patch(t.Context(), "renewed", "application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"sluice.dev/config":"ignore"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	d := web().Replicas(1).Obj()
	spec := &d.Spec.Template.Spec
	local := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	spec.Volumes = []corev1.Volume{
		{Name: "flags", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: local("flags"), Items: []corev1.KeyToPath{{Key: "debug", Path: "debug"}}}}},
		{Name: "tls", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "tls", Items: []corev1.KeyToPath{{Key: "tls.crt", Path: "c"}}}}},
		{Name: "renewed", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "renewed"}}},
		{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local("flags")}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local("kube-root-ca.crt")}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: local("none"), Optional: new(true)}},
		}}}},
	}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "flags", MountPath: "/etc/debug", SubPath: "debug"}}
	spec.InitContainers = []corev1.Container{{Name: "init", Image: v1, EnvFrom: []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: local("flags")}},
	}}}
	digest := digestOf(s.Create(d).Spec.Template)
	require.Equal(t, []string{"configmap/app", "configmap/flags", "secret/db", "secret/none", "secret/tls"}, hashing.Pinned(digest))

	pod := s.LivePods(t.Context(), "web")[0].Spec
	snapshot := func(name string) string { return hashing.SnapshotName(name, digest) }
	require.Equal(t, snapshot("flags"), pod.Volumes[0].ConfigMap.Name)
	require.Equal(t, snapshot("tls"), pod.Volumes[1].Secret.SecretName)
	require.Equal(t, "renewed", pod.Volumes[2].Secret.SecretName, "what is ignored stays live")
	sources := pod.Volumes[3].Projected.Sources
	require.Equal(t, snapshot("flags"), sources[0].ConfigMap.Name)
	require.Equal(t, "kube-root-ca.crt", sources[1].ConfigMap.Name, "what the cluster replaces stays live")
	require.Equal(t, snapshot("none"), sources[2].Secret.Name, "what is absent stays absent until the next version")
	require.Equal(t, snapshot("flags"), pod.InitContainers[0].EnvFrom[0].ConfigMapRef.Name)
	require.Equal(t, snapshot("app"), pod.Containers[0].Env[0].ValueFrom.ConfigMapKeyRef.Name)
	require.Equal(t, snapshot("db"), pod.Containers[0].EnvFrom[0].SecretRef.Name)

	copied, err := s.Admin.CoreV1().Secrets(s.Name).Get(t.Context(), snapshot("tls"), metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.SecretTypeTLS, copied.Type, "a Secret keeps its type")
	require.True(t, *copied.Immutable)
	require.Equal(t, map[string][]byte{"tls.crt": []byte("certificate"), "tls.key": {}}, copied.Data, "what is not used is not copied")
	copied, err = s.Admin.CoreV1().Secrets(s.Name).Get(t.Context(), snapshot("db"), metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, corev1.SecretTypeBasicAuth, copied.Type)
}

func TestAPodWithHundredsOfReferencesStarts(t *testing.T) {
	const many = 300
	s := pinned(t)
	d := web().Replicas(1).Obj()
	c := &d.Spec.Template.Spec.Containers[0]
	for i := range many {
		name := fmt.Sprintf("settings-%03d", i)
		s.configMap(name, "K", name)
		c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	digest := digestOf(s.Create(d).Spec.Template)
	require.Len(t, hashing.Pinned(digest), many+2)
	pod := s.LivePods(t.Context(), "web")[0]
	for _, from := range pod.Spec.Containers[0].EnvFrom[1:] {
		require.Contains(t, from.ConfigMapRef.Name, hashing.SnapshotName("", digest))
	}
}

func TestADryRunMakesNoSnapshot(t *testing.T) {
	s := pinned(t)
	file := s.Manifest(web().Obj())
	s.Kubectl("create", "--dry-run=server", "-f", file)
	require.Empty(t, s.snapshots())
	s.Unjudged()
}

// It takes the policy away, and puts it back: tests of this package run one after another.
func TestWithoutThePolicyPinIsRefusedAndPodsStart(t *testing.T) {
	s := pinned(t)
	s.Create(web().Obj())
	pin := filepath.Join(harness.Root(), "manifests", "pin.yaml")
	r := s.Command("admin", "kubectl", "delete", "-f", pin)
	require.Zero(t, r.Code, r.String())
	defer s.installPolicy()

	s.Eventually("pin is refused", func(context.Context) error {
		r := s.Command("alice", "kubectl", "--namespace="+s.Name, "create", "--dry-run=server", "-f", s.Manifest(builders.MakeDeployment("other").EnvFromConfigMap("app").Obj()))
		if r.Code == 0 {
			return errors.New(r.String())
		}
		return nil
	})
	s.Refused("alice", []string{
		"its config cannot be pinned", "pin needs Kubernetes 1.36 and what `kubectl apply -f manifests/pin.yaml` installs; or set hash",
	}, "kubectl", "create", "-f", s.Manifest(builders.MakeDeployment("other").EnvFromConfigMap("app").Obj()))

	require.NoError(t, s.Admin.CoreV1().Pods(s.Name).Delete(t.Context(), s.LivePods(t.Context(), "web")[0].Name, metav1.DeleteOptions{}))
	s.Unjudged()
	s.PodsOfEventually("web", v1, 3)
	require.Equal(t, map[string]int{"hello": 3}, s.greetings("web"))
	s.Kubectl("annotate", "deployment/web", canary.ConfigAnnotation+"=hash")
	s.SetImage("web", v2)
	s.WaitPhase("web", canary.Waiting, 1)
	require.Empty(t, hashing.Pinned(digestOf(s.Deployment("web").Spec.Template)), "hash needs no policy")
}
