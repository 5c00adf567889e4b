package e2e

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

// TestABackupFromAnyPhaseBecomesWhatItsFileSays: as if that version had been created alone.
func TestABackupFromAnyPhaseBecomesWhatItsFileSays(t *testing.T) {
	t.Parallel()
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		defer proceed()
		held := n.Deployment("web")
		backup := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "copy", Labels: maps.Clone(held.Labels), Annotations: maps.Clone(held.Annotations)},
			Spec:       *held.Spec.DeepCopy(),
		}
		alice := env.Client(t, "alice").AppsV1().Deployments(n.Name)
		restored, err := alice.Create(t.Context(), backup, dryRun)
		require.NoError(t, err)
		plain, err := alice.Create(t.Context(), builders.MakeDeployment("copy").Replicas(4).RollingUpdate("1", "0").Image(p.applied()).Obj(), dryRun)
		require.NoError(t, err)
		plain.Spec.Selector, plain.Spec.Template.Labels = held.Spec.Selector, held.Spec.Template.Labels
		require.Equal(t, plain.Spec, restored.Spec)
		require.NotContains(t, restored.Annotations, canary.ReleaseAnnotation)
		require.NotContains(t, restored.Labels, canary.ActiveLabel)
		require.NotContains(t, restored.Labels, canary.PhaseLabel)
	})
}
