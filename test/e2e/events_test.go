package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEachTransitionLeavesAnEvent(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	prefix := fmt.Sprintf("release %d: ", release.ID)
	require.Equal(t, prefix+"the new version is held at step 1 of 1 (20%)", n.WaitEvent("web", "ReleaseHeld"))
	require.Equal(t, prefix+"step 1 of 1 has its 1 pod available; kubectl rollout resume approves it", n.WaitEvent("web", "ReleaseWaiting"))
	n.Approve("web")
	require.Equal(t, prefix+"step 1 of 1 approved by alice", n.WaitEvent("web", "ReleaseApproved"))
	require.Equal(t, prefix+"the canary's pods stay and the rest is rolled out", n.WaitEvent("web", "ReleasePromoting"))
	n.WaitStable("web")
	require.Equal(t, fmt.Sprintf("release %d ended: the new version is the stable one", release.ID), n.WaitEvent("web", "ReleasePromoted"))
	n.SetImage("web", v3)
	requireHeld(t, n, v3, 1, 3)
	n.Abort("web")
	require.Contains(t, n.WaitEvent("web", "ReleaseAborted"), "aborted at step 1: aborted by alice")
	n.SetImage("web", v2)
	require.Contains(t, n.WaitEvent("web", "ReleaseReverting"), "the stable version was applied again")
	require.Contains(t, n.WaitEvent("web", "ReleaseReverted"), "ended: the stable version runs alone")
}

func TestARolloutStatusGoesOnWaitingForAHeldDeployment(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	status := n.Command("alice", "kubectl", "rollout", "status", "deployment/web", "--timeout="+(2*time.Second).String())
	require.NotZero(t, status.Code, "CI must not be green: %s", status)
	n.Approve("web")
	n.Kubectl("rollout", "status", "deployment/web", "--timeout=60s")
}
