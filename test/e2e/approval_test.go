package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestOnlyAPermittedResumeOfAWaitingReleaseApproves(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 50%, 100%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)

	n.Refused("bob", []string{`"bob" may not approve a step of deployment/web in namespace "` + n.Name + `"`, `the verb "promote" on deployments.apps`},
		"kubectl", "rollout", "resume", "deployment/web")
	require.Empty(t, n.Release("web").Approvals)

	for name, patch := range map[string]string{
		"a dashboard":                  `{"spec":{"paused":false}}`,
		"a dashboard that says null":   `{"spec":{"paused":null}}`,
		"a chart that labels as well":  `{"metadata":{"labels":{"team":"shop"}},"spec":{"paused":false}}`,
		"somebody without permissions": `{"metadata":{"annotations":{"example.com/x":"y"}},"spec":{"paused":false}}`,
	} {
		user := map[bool]string{true: "bob", false: "alice"}[name == "somebody without permissions"]
		result := n.Command(user, "kubectl", "patch", "deployment/web", "-p", patch)
		require.Zero(t, result.Code, result)
		require.Contains(t, result.Stderr, `"paused: false" approves nothing. Approve with: kubectl rollout resume deployment/web -n `+n.Name, name)
		require.True(t, n.Deployment("web").Spec.Paused, name)
		require.Empty(t, n.Release("web").Approvals, name)
	}

	n.Approve("web")
	second := n.Command("alice", "kubectl", "rollout", "resume", "deployment/web")
	if second.Code == 0 { // the step was still the first one
		require.Contains(t, second.Stderr, "was approved by \"alice\" already")
	} else {
		require.Contains(t, second.Stderr, "is not ready")
	}
	n.WaitPhase("web", canary.Waiting, 2)
	require.Equal(t, []canary.Approval{{Step: 1, By: "alice"}}, n.Release("web").Approvals)
}

func TestPausedFalseTogetherWithANewTemplateApprovesNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"paused":false,"template":{"spec":{"containers":[{"name":"app","image":"`+v3+`"}]}}}}`)
	require.Empty(t, requireHeld(t, n, v3, 1, 3).Approvals)
}

func TestTheDrivingAnnotationsNameWhatTheyMean(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 50%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	release := n.WaitPhase("web", canary.Waiting, 1)
	annotate := func(user, key, value string) harness.Result {
		return n.Command(user, "kubectl", "annotate", "--overwrite", "deployment/web", key+"="+value)
	}
	for _, stale := range []string{"1/1", release.Name() + "/2", release.Name(), "x"} {
		result := annotate("alice", canary.ApproveAnnotation, stale)
		require.Zero(t, result.Code, result)
		require.Contains(t, result.Stderr, "sluice.dev/approve="+stale+" does nothing: deployment/web is at release")
		require.Equal(t, release, n.Release("web"))
	}
	for key, verb := range map[string]string{canary.ApproveAnnotation: "promote", canary.AbortAnnotation: "abort"} {
		value := map[string]string{"promote": release.ApproveValue(), "abort": release.Name()}[verb]
		result := annotate("bob", key, value)
		require.NotZero(t, result.Code, result)
		require.Contains(t, result.Stderr, `the verb "`+verb+`" on deployments.apps`)
	}
	require.Equal(t, release, n.Release("web"))

	n.Mark("web", watch.Approved)
	require.Zero(t, annotate("alice", canary.ApproveAnnotation, release.ApproveValue()).Code)
	n.WaitPhase("web", canary.Waiting, 2)
}

func TestTheStateIsSluicesAlone(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	forged := *release
	forged.Phase, forged.Stage, forged.Approvals = canary.Promoting, canary.Finishing, []canary.Approval{{Step: 1, By: "bob"}}
	for _, value := range []string{canary.ReleaseAnnotation + "=" + forged.Encode(), canary.ReleaseAnnotation + "-"} {
		n.Command("bob", "kubectl", "annotate", "--overwrite", "deployment/web", value)
		require.Equal(t, release, n.Release("web"))
	}
	n.Command("bob", "kubectl", "label", "deployment/web", canary.ActiveLabel+"-")
	require.Equal(t, "true", n.Deployment("web").Labels[canary.ActiveLabel])
	n.Refused("admin", []string{"sluice.dev/release is sluice's own record of the release"},
		"kubectl", "patch", "deployment/web", "--subresource=status",
		"--type=merge", "-p", `{"metadata":{"annotations":{"sluice.dev/release":null}}}`)
	require.Equal(t, release, n.Release("web"))
}

func TestFourEyesNeedSomebodyElse(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Annotation(canary.ApprovalAnnotation, "four-eyes"))
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Refused("alice", []string{"needs somebody else's approval", `"alice" is its author`}, "kubectl", "rollout", "resume", "deployment/web")
	n.Mark("web", watch.Approved)
	result := n.Command("admin", "kubectl", "rollout", "resume", "deployment/web")
	require.Zero(t, result.Code, result)
	n.WaitStable("web")
}

// TestAnApprovalFromBeforeTheReleaseApprovesNothing: a manifest, a backup or Git may carry an approval
// that happens to name the release that starts now.
func TestAnApprovalFromBeforeTheReleaseApprovesNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	d := n.Create(web().Annotation(canary.ApproveAnnotation, "2/1").Obj())
	require.Equal(t, int64(1), d.Generation)
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	require.Equal(t, "2/1", release.ApproveValue())
	require.Empty(t, release.Approvals)
	n.Quiet("web")
	require.Equal(t, release, n.Release("web"))
	n.Approve("web")
	n.WaitStable("web")
}
