package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

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
