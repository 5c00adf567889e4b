package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestTwoStepsAreApprovedOneByOne(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%, 100%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, map[string]int{v1: 4, v2: 2}, podImages(n.LivePods(t.Context(), "web")))
	first := n.PodsOf("web", v2)

	result := n.Approve("web")
	require.Contains(t, result.Stderr, "step 2 of 2 comes next")
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, map[string]int{v1: 4, v2: 4}, podImages(n.LivePods(t.Context(), "web")))
	require.Subset(t, n.PodsOf("web", v2), first)

	result = n.Approve("web")
	require.Contains(t, result.Stderr, "it is promoted")
	n.WaitStable("web")
	require.Equal(t, 4, created(n.Recorded(), v2))
}

func TestAStepWithADurationGoesOnByItself(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%:2s, 50%"))
	n.Create(web().Replicas(4).Obj())
	result := n.SetImage("web", v2)
	require.Contains(t, result.Stderr, "it goes on after 2s")
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, map[string]int{v1: 4, v2: 2}, podImages(n.LivePods(t.Context(), "web")))
	require.Empty(t, n.Release("web").Approvals)
	n.Approve("web")
	n.WaitStable("web")
}

func TestTimedStepsAlonePromoteWithoutAnybody(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%:1s, 50%:1s"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 4}, podImages(n.LivePods(t.Context(), "web")))
}

func TestACanaryThatIsNotAvailableByItsDeadlineIsAborted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ image, says string }{
		"it never becomes ready": {"example/unready:v2", ""},
		"it crashes":             {"example/crash:v2", "CrashLoopBackOff"},
		"its image is not there": {"example/pull:v2", "ImagePullBackOff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "3s"))
			n.Create(web().Obj())
			stable := n.PodsOf("web", v1)
			n.SetImage("web", test.image)
			bad := n.PodsOfEventually("web", test.image, 1)
			release := n.WaitPhase("web", canary.Aborted, 1)
			require.Contains(t, release.Reason, "0 of 1 canary pods were available after 3s")
			require.Contains(t, release.Reason, bad[0], "the pod is named")
			require.Contains(t, release.Reason, test.says)
			n.PodsOfEventually("web", test.image, 0)
			require.Equal(t, stable, n.PodsOf("web", v1), "no stable pod was touched")
			require.True(t, n.Deployment("web").Spec.Paused)
			require.Equal(t, test.image, n.Deployment("web").Spec.Template.Spec.Containers[0].Image, "the spec stays the user's")
			require.Contains(t, n.WaitEvent("web", "ReleaseAborted"), release.Reason)
			n.Refused("alice", []string{"is aborted: 0 of 1 canary pods were available after 3s", "kubectl annotate deployment/web -n " + n.Name + " --overwrite sluice.dev/retry="},
				"kubectl", "rollout", "resume", "deployment/web")
			n.Quiet("web")
		})
	}
}

func TestALateCanaryIsAwaitedUntilItsDeadline(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "60s"))
	n.Create(web().Obj())
	n.SetImage("web", "example/late-5s:v2")
	n.Refused("alice", []string{"step 1 of release", "is not ready: its pods are not available yet"}, "kubectl", "rollout", "resume", "deployment/web")
	requireHeld(t, n, "example/late-5s:v2", 1, 3)
}

func TestAReleaseIsAbortedAndTriedAgain(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	stable := n.PodsOf("web", v1)
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)

	n.Abort("web")
	n.PodsOfEventually("web", v2, 0)
	aborted := n.WaitPhase("web", canary.Aborted, 1)
	require.Equal(t, release.ID, aborted.ID)
	require.Equal(t, "aborted by alice", aborted.Reason)
	require.Equal(t, stable, n.PodsOf("web", v1))
	n.Quiet("web")

	n.Retry("web")
	requireHeld(t, n, v2, 1, 3)
	n.Approve("web")
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
}

func TestTheAbortedVersionAppliedAgainStaysAborted(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Kubectl("apply", "-f", n.Manifest(web().Obj()))
	n.WaitStable("web")
	bad := n.Manifest(web().Image(v2).Obj())
	n.Kubectl("apply", "-f", bad)
	requireHeld(t, n, v2, 1, 3)
	n.Abort("web")
	n.WaitPhase("web", canary.Aborted, 1)
	again := n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Label("team", "shop").Obj()))
	require.Contains(t, again.Stderr, "is still held and aborted: aborted by alice")
	require.Equal(t, canary.Aborted, n.Release("web").Phase)
	n.PodsOfEventually("web", v2, 0)
	n.Kubectl("apply", "-f", n.Manifest(web().Image(v3).Obj()))
	requireHeld(t, n, v3, 1, 3)
}

func TestTheOldVersionAppliedAgainRevertsAndTouchesNoStablePod(t *testing.T) {
	t.Parallel()
	phases := map[string]func(n *harness.Namespace){
		"while Progressing": func(n *harness.Namespace) { n.WaitPhase("web", canary.Progressing, 1) },
		"while Waiting":     func(n *harness.Namespace) { n.WaitPhase("web", canary.Waiting, 1) },
		"when Aborted": func(n *harness.Namespace) {
			n.WaitPhase("web", canary.Waiting, 1)
			n.Abort("web")
			n.WaitPhase("web", canary.Aborted, 1)
		},
	}
	for name, reach := range phases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			stable := n.PodsOf("web", v1)
			image := v2
			if name == "while Progressing" {
				image = "example/unready:v2"
			}
			n.SetImage("web", image)
			reach(n)
			result := n.SetImage("web", v1)
			require.Contains(t, result.Stderr, "sluice: deployment/web is back at its stable version: release")
			n.WaitStable("web")
			require.Equal(t, stable, n.PodsOf("web", v1))
			require.Equal(t, 3, created(n.Recorded(), v1))
			require.Len(t, n.ReplicaSets("web"), 1)
			n.Quiet("web")
		})
	}
}

func TestReplicasChangeWhileHeld(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, to, canaries int
	}{
		"from 10 to 15": {10, 15, 3},
		"from 10 to 3":  {10, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Replicas(int32(test.from)).Obj())
			n.SetImage("web", v2)
			n.WaitPhase("web", canary.Waiting, 1)
			n.Kubectl("scale", "deployment/web", fmt.Sprintf("--replicas=%d", test.to))
			n.PodsOfEventually("web", v1, test.to)
			n.PodsOfEventually("web", v2, test.canaries)
			n.WaitDeployment("web", "all stable pods are available", func(d *appsv1.Deployment) bool {
				return d.Status.AvailableReplicas == int32(test.to)
			})
			requireHeld(t, n, v2, test.canaries, test.to)
			n.Approve("web")
			n.WaitStable("web")
			require.Equal(t, map[string]int{v2: test.to}, podImages(n.LivePods(t.Context(), "web")))
		})
	}
}

func TestAReleaseCannotBeScaledToZero(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	wayOut := []string{fmt.Sprintf("deployment/web cannot be scaled to 0 while release %d is under way", release.ID),
		"kubectl rollout resume deployment/web -n " + n.Name, "applying the old version"}
	n.Refused("alice", wayOut, "kubectl", "patch", "deployment/web", "-p", `{"spec":{"replicas":0}}`)
	n.Refused("alice", wayOut, "kubectl", "scale", "deployment/web", "--replicas=0")
	require.Equal(t, int32(3), *n.Deployment("web").Spec.Replicas)
	n.SetImage("web", v1)
	n.WaitStable("web")
	n.Kubectl("scale", "deployment/web", "--replicas=0")
	n.WaitStable("web")
}

func TestTheUsersOwnPause(t *testing.T) {
	t.Parallel()
	t.Run("without a release is native", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Kubectl("rollout", "pause", "deployment/web")
		require.True(t, n.Deployment("web").Spec.Paused)
		n.Kubectl("rollout", "resume", "deployment/web")
		require.False(t, n.Deployment("web").Spec.Paused)
		require.Nil(t, n.Release("web"))
	})
	t.Run("delays step one of a new version until they resume", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Kubectl("rollout", "pause", "deployment/web")
		result := n.SetImage("web", v2)
		require.Contains(t, result.Stderr, "starts at step 1 with: kubectl rollout resume deployment/web -n "+n.Name)
		n.WaitPhase("web", canary.Progressing, 0)
		n.Quiet("web")
		require.Empty(t, n.PodsOf("web", v2))
		n.Kubectl("rollout", "resume", "deployment/web") // no approval
		requireHeld(t, n, v2, 1, 3)
		n.Approve("web")
		n.WaitStable("web")
		require.False(t, n.Deployment("web").Spec.Paused)
	})
}

func TestEachTransitionLeavesAnEvent(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	prefix := fmt.Sprintf("release %d: ", release.ID)
	require.Equal(t, prefix+"the new version is held at step 1 of 1 (20%)", n.WaitEvent("web", "ReleaseHeld"))
	require.Equal(t, prefix+"step 1 of 1 has its 1 pods available; kubectl rollout resume approves it", n.WaitEvent("web", "ReleaseWaiting"))
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
