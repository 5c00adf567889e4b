package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// TestAReleaseGoesOnAfterItsStableReplicaSetWasDeleted, whatever it comes to.
func TestAReleaseGoesOnAfterItsStableReplicaSetWasDeleted(t *testing.T) {
	t.Parallel()
	for name, goOn := range map[string]func(n *harness.Namespace){
		"to its promotion": func(n *harness.Namespace) {
			n.Approve("web")
			n.WaitStable("web")
			n.PodsOfEventually("web", v2, 3)
		},
		"to its abort": func(n *harness.Namespace) {
			n.Abort("web")
			n.WaitPhase("web", canary.Aborted, 1)
			n.PodsOfEventually("web", v2, 0)
			n.PodsOfEventually("web", v1, 3)
		},
		"to a third version": func(n *harness.Namespace) {
			n.SetImage("web", v3)
			requireHeld(t, n, v3, 1, 3)
			n.PodsOfEventually("web", v1, 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().HistoryLimit(0).Obj())
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
			n.Mark("web", watch.Disturbed)
			for _, rs := range n.ReplicaSets("web") {
				if rs.Labels[canary.WorkloadLabel] == "" {
					require.NoError(t, n.Admin.AppsV1().ReplicaSets(n.Name).Delete(t.Context(), rs.Name,
						metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
				}
			}
			n.WaitEvent("web", "StableRestored")
			n.PodsOfEventually("web", v1, 3)
			requireHeld(t, n, v2, 1, 3)
			n.Mark("web", watch.Restored)
			goOn(n)
		})
	}
}

// TestAnAbortedVersionWhoseConfigChangedMeanwhile stays aborted when it comes again, and the old one comes back
// as its pods run it.
func TestAnAbortedVersionWhoseConfigChangedMeanwhile(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	createConfigMap(t, n, "hello")
	n.Create(web().EnvFromConfigMap("app").Obj())
	stable, before := n.PodsOf("web", v1), n.Deployment("web").Spec.Template
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Abort("web")
	n.PodsOfEventually("web", v2, 0)
	aborted := n.WaitPhase("web", canary.Aborted, 1)
	updateConfigMap(t, n, "good day")
	again := n.Replace(n.Manifest(web().EnvFromConfigMap("app").Image(v2).Obj()))
	require.Contains(t, again.Stderr, "is still held and aborted: aborted by alice")
	require.Equal(t, aborted, n.Release("web"))
	n.Replace(n.Manifest(web().EnvFromConfigMap("app").Obj()))
	require.Equal(t, before, n.WaitStable("web").Spec.Template, "with the digest that its pods run")
	require.Equal(t, stable, n.PodsOf("web", v1))

	release := n.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, release.Stable.Hash, release.Canary.Hash, "that the config changed is a release of its own")
	require.Subset(t, n.PodsOf("web", v1), stable)
}
