package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestACanaryThatBreaksAfterItsAdoptionTakesNoStablePodAway: between the adoption and the unpause, the
// deployment controller sizes both ReplicaSets without a look at readiness. With maxSurge 0 of ten and
// five canary pods it would leave five stable ones; the pinned maxSurge leaves all ten, so that nothing
// is lost when the canary breaks at that instant. The watcher requires nine of ten throughout.
func TestACanaryThatBreaksAfterItsAdoptionTakesNoStablePodAway(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%"))
	n.Create(web().Replicas(10).RollingUpdate("0", "1").Obj())
	stable := n.PodsOf("web", v1)
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 5, 10)
	proceed := reachHeld(finishes)(t, n)
	n.WaitDeployment("web", "the canary is adopted", func(d *appsv1.Deployment) bool { return d.Status.UpdatedReplicas == 5 })
	proved := n.PodsOf("web", v2)
	for _, pod := range proved {
		require.NoError(t, breakPod(t.Context(), n, pod))
	}
	n.WaitDeployment("web", "only the stable pods are available", func(d *appsv1.Deployment) bool {
		return d.Status.AvailableReplicas == 10
	})
	require.True(t, n.Deployment("web").Spec.Paused)
	require.Equal(t, "5", n.Deployment("web").Spec.Strategy.RollingUpdate.MaxSurge.String(), "pinned")
	require.Equal(t, stable, n.PodsOf("web", v1))

	proceed() // a write that was decided before the canary broke
	n.Quiet("web")
	require.Equal(t, canary.Adopting, n.Release("web").Stage, "sluice waits for it")
	require.Equal(t, stable, n.PodsOf("web", v1))
	for _, pod := range proved {
		require.NoError(t, mendPod(t.Context(), n, pod))
	}
	d := n.WaitStable("web")
	require.Subset(t, n.PodsOf("web", v2), proved)
	require.Equal(t, "0", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
}

// mendPod makes a pod ready again.
func mendPod(ctx context.Context, n *harness.Namespace, name string) error {
	patch := `{"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"}]}}`
	_, err := n.Admin.CoreV1().Pods(n.Name).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), patchOptions, "status")
	return err
}
