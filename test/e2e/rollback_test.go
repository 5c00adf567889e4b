package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestARollbackAtEachStepReverts: the old version comes back at step one, two and three, by whatever way
// people and Git take. `kubectl rollout undo` does not know a paused Deployment's way back.
func TestARollbackAtEachStepReverts(t *testing.T) {
	t.Parallel()
	for name, apply := range map[string]func(n *harness.Namespace, d *appsv1.Deployment) harness.Result{
		"by kubectl apply": func(n *harness.Namespace, d *appsv1.Deployment) harness.Result {
			return n.Kubectl("apply", "-f", n.Manifest(d))
		},
		"by a Git revert that is applied server-side": func(n *harness.Namespace, d *appsv1.Deployment) harness.Result {
			return n.Kubectl("apply", "--server-side", "--field-manager=gitops", "--force-conflicts", "-f", n.Manifest(d))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t, harness.Steps("25%, 50%, 75%"))
			old, new := web().Replicas(4).Obj(), web().Replicas(4).Image(v2).Obj()
			apply(n, old)
			n.WaitStable("web")
			stable := n.PodsOf("web", v1)
			for step := range 3 {
				apply(n, new)
				for done := range step {
					n.WaitPhase("web", canary.Waiting, done+1)
					n.Approve("web")
				}
				n.WaitPhase("web", canary.Waiting, step+1)
				n.PodsOfEventually("web", v2, step+1)
				n.Refused("alice", []string{"cannot rollback a paused deployment"}, "kubectl", "rollout", "undo", "deployment/web", "--to-revision=1")
				require.Contains(t, apply(n, old).Stderr, "is back at its stable version")
				d := n.WaitStable("web")
				require.False(t, d.Spec.Paused)
				require.Equal(t, stable, n.PodsOf("web", v1), "no stable pod was touched at step %d", step+1)
			}
			n.Quiet("web")
		})
	}
}

// TestAnAutoscalerInTheMiddleOfARelease: a real one, whose bounds alone make it scale.
func TestAnAutoscalerInTheMiddleOfARelease(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Replicas(3).Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Kubectl("autoscale", "deployment/web", "--min=6", "--max=8", "--cpu=50%")
	requireHeld(t, n, v2, 2, 6)
	n.Approve("web")
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 6}, podImages(n.LivePods(t.Context(), "web")))
}
