package pin

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/e2e/watch"
)

// Acceptance, config hashing 26 and 29.
func TestOnlyTheCanaryReadsNewContentWhileItIsHeld(t *testing.T) {
	s := pinned(t)
	first := s.Create(web().Obj())
	digest := digestOf(first.Spec.Template)
	require.Equal(t, []string{"configmap/app", "secret/db"}, hashing.Pinned(digest))
	require.Equal(t, map[string]int{"hello": 3}, s.greetings("web"))
	for _, pod := range s.LivePods(t.Context(), "web") {
		name, _ := s.greeting(pod)
		require.Equal(t, hashing.SnapshotName("app", digest), name)
		require.Equal(t, hashing.SnapshotName("db", digest), pod.Spec.Containers[0].EnvFrom[0].SecretRef.Name)
	}
	spec := first.Spec.Template.Spec.Containers[0]
	require.Equal(t, "app", spec.Env[0].ValueFrom.ConfigMapKeyRef.Name, "the spec is its author's")
	require.Equal(t, "db", spec.EnvFrom[0].SecretRef.Name)

	s.set("app", "GREETING", "good day")
	s.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, map[string]int{"hello": 3, "good day": 1}, s.greetings("web"))
	s.Mark("web", watch.Disturbed)
	s.restart("web", "hello")
	s.WaitDeployment("web", "the stable pods are back", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 3 })
	s.Mark("web", watch.Restored)
	require.Equal(t, map[string]int{"hello": 3, "good day": 1}, s.greetings("web"), "a stable pod that restarts reads the old content")

	s.Abort("web")
	s.WaitPhase("web", canary.Aborted, 1)
	s.PodsOfEventually("web", v1, 3)
	require.Equal(t, map[string]int{"hello": 3}, s.greetings("web"))
	s.readOnly("hello", "good day")

	s.Retry("web")
	s.WaitPhase("web", canary.Waiting, 1)
	s.Approve("web")
	s.WaitStable("web")
	require.Equal(t, map[string]int{"good day": 3}, s.greetings("web"))
	spec = s.Deployment("web").Spec.Template.Spec.Containers[0]
	require.Equal(t, "app", spec.Env[0].ValueFrom.ConfigMapKeyRef.Name)
	require.Equal(t, "db", spec.EnvFrom[0].SecretRef.Name)
	for _, rs := range s.ReplicaSets("web") {
		require.Equal(t, "app", rs.Spec.Template.Spec.Containers[0].Env[0].ValueFrom.ConfigMapKeyRef.Name)
	}
}

// readOnly shows that of all pods that ever were, only those of one ReplicaSet read the new content: the canary's.
func (s space) readOnly(old, canarys string) {
	s.t.Helper()
	readers := map[string]map[string]bool{}
	for _, e := range s.Recorded() {
		if e.Pod == nil || len(e.Pod.OwnerReferences) == 0 {
			continue
		}
		_, value := s.greeting(*e.Pod)
		if readers[value] == nil {
			readers[value] = map[string]bool{}
		}
		readers[value][e.Pod.OwnerReferences[0].Name] = true
	}
	require.Len(s.t, readers[old], 1)
	require.Len(s.t, readers[canarys], 1)
	require.NotEqual(s.t, readers[old], readers[canarys])
}

// Acceptance, config hashing 27.
func TestARollbackByHelmBringsTheOldContentBackWithTheOldReplicaSet(t *testing.T) {
	s := pinned(t)
	chart := s.chart()
	for _, upgrade := range []struct{ verb, greeting string }{{"install", "hello"}, {"upgrade", "good day"}} {
		s.Run("helm3", upgrade.verb, "web", chart, "--set", "greeting="+upgrade.greeting)
		if upgrade.verb == "upgrade" {
			s.WaitPhase("web", canary.Waiting, 1)
			s.Approve("web")
		}
		s.WaitStable("web")
		require.Equal(t, map[string]int{upgrade.greeting: 2}, s.greetings("web"))
	}
	before := s.ReplicaSets("web")
	require.Len(t, before, 2)
	first := s.replicaSetReading("hello")

	s.Run("helm3", "rollback", "web", "1")
	s.WaitPhase("web", canary.Waiting, 1)
	s.Approve("web")
	s.WaitStable("web")
	require.Equal(t, map[string]int{"hello": 2}, s.greetings("web"))
	require.Len(t, s.ReplicaSets("web"), 2, "it is the old ReplicaSet again")
	for _, pod := range s.LivePods(t.Context(), "web") {
		require.Equal(t, first, pod.OwnerReferences[0].Name)
	}
}

// replicaSetReading returns the name of the ReplicaSet whose digest is that of the snapshot with a greeting.
func (s space) replicaSetReading(greeting string) string {
	s.t.Helper()
	for _, rs := range s.ReplicaSets("web") {
		object, err := s.Admin.CoreV1().ConfigMaps(s.Name).Get(s.t.Context(), hashing.SnapshotName("settings", digestOf(rs.Spec.Template)), metav1.GetOptions{})
		require.NoError(s.t, err)
		if object.Data["GREETING"] == greeting {
			return rs.Name
		}
	}
	require.Fail(s.t, "no ReplicaSet reads "+greeting)
	return ""
}

const chartTemplate = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {GREETING: {{ .Values.greeting | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: app
        image: ` + v1 + `
        env: [{name: GREETING, valueFrom: {configMapKeyRef: {name: settings, key: GREETING}}}]
`

func (s space) chart() string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "web")
	require.NoError(s.t, os.MkdirAll(filepath.Join(dir, "templates"), 0o700))
	for name, content := range map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "templates/web.yaml": chartTemplate,
	} {
		require.NoError(s.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}
