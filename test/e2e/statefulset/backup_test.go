package statefulset

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// backupOf is the set as a backup tool stores it: all of it, without what the server sets.
func backupOf(s harness.Set, name string) *appsv1.StatefulSet {
	held := s.Get()
	b := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: maps.Clone(held.Labels), Annotations: maps.Clone(held.Annotations)},
		Spec:       *held.Spec.DeepCopy(),
	}
	if name != "db" { // pods of its own, as a copy must have
		b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
		b.Spec.Template.Labels = map[string]string{"app": name}
	}
	return b
}

func TestABackupOfAHeldSetBecomesAPlainOne(t *testing.T) {
	t.Parallel()
	for title, name := range map[string]string{"under the same name": "db", "under another name": "copy"} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s := env.Namespace(t).CreateSet(two().Partition(1).Obj())
			s.SetImage(v2)
			requireHeld(t, s, 1, v1, v2)
			backup := backupOf(s, name)
			if name == "db" {
				s.Kubectl("delete", "statefulset/db", "--wait")
			}
			s.Kubectl("create", "-f", s.Manifest(backup))
			s.Kubectl("rollout", "status", "statefulset/"+name, "--timeout=60s")
			restored, err := s.Admin.AppsV1().StatefulSets(s.Name).Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			require.EqualValues(t, 1, *restored.Spec.UpdateStrategy.RollingUpdate.Partition)
			require.NotContains(t, restored.Annotations, canary.ReleaseAnnotation)
			require.NotContains(t, restored.Labels, canary.ActiveLabel)
			require.NotContains(t, restored.Labels, canary.PhaseLabel)
			pods, err := s.Admin.CoreV1().Pods(s.Name).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
			require.NoError(t, err)
			require.Len(t, pods.Items, 2)
			for _, pod := range pods.Items {
				require.Equal(t, v2, pod.Spec.Containers[0].Image, pod.Name)
			}
		})
	}
}

// TestABackupFromAnyPhaseBecomesWhatItsFileSays: as if that version had been created alone.
func TestABackupFromAnyPhaseBecomesWhatItsFileSays(t *testing.T) {
	t.Parallel()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	inPhases(t, nil, func(t *testing.T, s harness.Set, p phase, proceed func()) {
		defer proceed()
		alice := env.Client(t, "alice").AppsV1().StatefulSets(s.Name)
		restored, err := alice.Create(t.Context(), backupOf(s, "copy"), dryRun)
		require.NoError(t, err)
		plain, err := alice.Create(t.Context(), builders.MakeStatefulSet("copy").Replicas(3).Image(p.applied()).Obj(), dryRun)
		require.NoError(t, err)
		plain.Spec.ServiceName = restored.Spec.ServiceName
		require.Equal(t, plain.Spec, restored.Spec)
		require.NotContains(t, restored.Annotations, canary.ReleaseAnnotation)
		require.NotContains(t, restored.Labels, canary.ActiveLabel)
		require.NotContains(t, restored.Labels, canary.PhaseLabel)
	})
}
