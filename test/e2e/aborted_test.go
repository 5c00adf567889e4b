package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestTheAbortedVersionDeliveredAgainStaysAborted, whoever delivers it; retried, it starts at step one.
func TestTheAbortedVersionDeliveredAgainStaysAborted(t *testing.T) {
	t.Parallel()
	deliveries := map[string]func(n *harness.Namespace, image string, replicas int) harness.Result{}
	for name, helm := range helms {
		deliveries[name] = func(n *harness.Namespace, image string, replicas int) harness.Result {
			return n.Run(helm.tool, "upgrade", "--install", "web", legacyChart(), "--set", fmt.Sprintf("paused=false,image=%s,replicas=%d", image, replicas))
		}
	}
	for name, args := range map[string][]string{
		"kubectl apply": {"apply", "-f"}, "kubectl apply --server-side": {"apply", "--server-side", "-f"},
	} {
		deliveries[name] = func(n *harness.Namespace, image string, replicas int) harness.Result {
			return n.Kubectl(append(args, n.Manifest(web().Image(image).Replicas(int32(replicas)).Obj()))...)
		}
	}
	deliveries["kubectl replace"] = func(n *harness.Namespace, image string, replicas int) harness.Result {
		file := n.Manifest(web().Image(image).Replicas(int32(replicas)).Obj())
		if n.Command("alice", "kubectl", "get", "deployment/web").Code != 0 {
			return n.Kubectl("create", "-f", file)
		}
		return n.Replace(file)
	}
	for name, deliver := range deliveries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t, harness.Steps("20%, 50%"))
			deliver(n, v1, 4)
			n.WaitStable("web")
			stable := n.PodsOf("web", v1)
			deliver(n, v2, 4)
			requireHeld(t, n, v2, 1, 4)
			n.Approve("web")
			n.WaitPhase("web", canary.Waiting, 2)
			n.Abort("web")
			n.PodsOfEventually("web", v2, 0)
			aborted := n.WaitPhase("web", canary.Aborted, 2)

			again := deliver(n, v2, 5)
			require.Equal(t, []string{fmt.Sprintf("sluice: release %d of deployment/web is still held and aborted: aborted by alice. Apply another version, or: "+
				"kubectl annotate deployment/web -n %s --overwrite sluice.dev/retry=%[1]d", aborted.ID, n.Name)}, again.Warnings(), again)
			after := n.Release("web")
			after.Held = aborted.Held // a chart that states `paused` states it again
			require.Equal(t, aborted, after)
			require.True(t, n.Deployment("web").Spec.Paused)
			n.PodsOfEventually("web", v1, 5)
			n.Quiet("web")
			require.Empty(t, n.PodsOf("web", v2))

			n.Retry("web")
			require.Empty(t, requireHeld(t, n, v2, 1, 5).Approvals)
			require.Subset(t, n.PodsOf("web", v1), stable)
			n.Approve("web")
			n.WaitPhase("web", canary.Waiting, 2)
			n.Approve("web")
			require.False(t, n.WaitStable("web").Spec.Paused)
		})
	}
}
