package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// driven is what people decide of a release; the rest is sluice's own to write meanwhile.
type driven struct {
	id        int64
	step      int
	aborted   bool
	approvals int
}

func drivenTo(n *harness.Namespace) driven {
	r := n.Release("web")
	return driven{r.ID, r.Step, r.Phase == canary.Aborted, len(r.Approvals)}
}

// patchAs patches web as a user.
func patchAs(t *testing.T, n *harness.Namespace, user, patch string) error {
	t.Helper()
	_, err := env.Client(t, user).AppsV1().Deployments(n.Name).Patch(t.Context(), "web", types.MergePatchType, []byte(patch), patchOptions)
	return err
}

// TestWhatDrivesNothingInEveryPhase: a resume at the wrong time, whoever is not permitted, `paused: false`, and
// no replicas at all.
func TestWhatDrivesNothingInEveryPhase(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, _ phase, proceed func()) {
		defer proceed()
		r, before := n.Release("web"), drivenTo(n)
		if answer := answerToResume(n, r); answer != "" {
			resume := n.Command("alice", "kubectl", "rollout", "resume", "deployment/web")
			require.Contains(t, resume.Stderr, answer)
			require.Equal(t, before, drivenTo(n))
		}
		for _, asked := range [][2]string{
			{canary.ApproveAnnotation, r.ApproveValue()}, {canary.ApproveAnnotation, r.ApproveFullValue()},
			{canary.AbortAnnotation, r.Name()}, {canary.RetryAnnotation, r.Name()},
		} {
			verb := map[bool]string{true: "abort", false: "promote"}[asked[0] == canary.AbortAnnotation]
			if err := patchAs(t, n, "bob", fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, asked[0], asked[1])); err != nil {
				require.ErrorContains(t, err, `the verb "`+verb+`" on deployments.apps`) // else it means nothing here
			}
			require.Equal(t, before, drivenTo(n), asked)
		}
		for _, paused := range []string{"false", "null"} {
			held := n.Deployment("web").Spec.Paused
			require.NoError(t, patchAs(t, n, "bob", `{"spec":{"paused":`+paused+`}}`))
			require.Equal(t, held, n.Deployment("web").Spec.Paused)
		}
		requireNoWayToZero(t, n)
		require.Equal(t, before, drivenTo(n))
	})
}

// answerToResume is what somebody permitted reads, empty where they would approve.
func answerToResume(n *harness.Namespace, r *canary.Release) string {
	switch {
	case !n.Deployment("web").Spec.Paused:
		return "is not paused" // kubectl's own
	case len(r.Approvals) > 0:
		return `was approved by "alice" already`
	}
	return map[canary.Phase]string{
		canary.Progressing: "is not ready: ",
		canary.Aborted:     "is aborted: aborted by alice",
		canary.Reverting:   "is being reverted to the stable version, so there is nothing to approve",
	}[r.Phase]
}

func requireNoWayToZero(t *testing.T, n *harness.Namespace) {
	t.Helper()
	const refusal = "deployment/web cannot be scaled to 0 while release"
	require.ErrorContains(t, patchAs(t, n, "bob", `{"spec":{"replicas":0}}`), refusal)
	_, err := env.Client(t, "bob").AppsV1().Deployments(n.Name).UpdateScale(t.Context(), "web",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: n.Name}}, updateOptions)
	require.ErrorContains(t, err, refusal)
}

func TestAnAbortInEveryPhase(t *testing.T) {
	t.Parallel()
	inEveryPhase(t, func(t *testing.T, n *harness.Namespace, p phase, proceed func()) {
		before, stable := n.Release("web"), n.PodsOf("web", v1)
		abort := n.Command("alice", "kubectl", "annotate", "--overwrite", "deployment/web", canary.AbortAnnotation+"="+before.Name(), "example.com/note=1")
		proceed()
		switch {
		case p.promoted:
			require.NotZero(t, abort.Code)
			require.Contains(t, abort.Stderr, "is approved and the native rollout is under way: apply the old version to go back")
			n.WaitStable("web")
			return
		case p.reverting:
			require.Contains(t, abort.Stderr, "sluice.dev/abort="+before.Name()+" does nothing")
			n.WaitStable("web")
		default:
			require.Zero(t, abort.Code, abort)
			require.Equal(t, "aborted by alice", n.WaitPhase("web", canary.Aborted, 1).Reason)
			n.PodsOfEventually("web", p.image, 0)
			d := n.WaitDeployment("web", "the abort is over and its condition tells of it", func(d *appsv1.Deployment) bool {
				return n.Release("web").Surge == 0 && slices.ContainsFunc(d.Status.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == canary.ConditionStalled })
			})
			require.True(t, d.Spec.Paused)
			n.Quiet("web")
			require.Equal(t, p.image, n.Deployment("web").Spec.Template.Spec.Containers[0].Image, "the spec stays the user's")
		}
		require.Equal(t, stable, n.PodsOf("web", v1), "no stable pod was touched")
		require.Equal(t, "1", n.Deployment("web").Spec.Strategy.RollingUpdate.MaxSurge.String(), "the user's own maxSurge")
	})
}

// TestAnApprovalTogetherWithANewVersionApprovesNothing, whichever of the two releases it names.
func TestAnApprovalTogetherWithANewVersionApprovesNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	first := requireHeld(t, n, v2, 1, 3)
	for i, value := range []string{first.ApproveValue(), fmt.Sprintf("%d/full", n.Deployment("web").Generation+1), fmt.Sprintf("%d/1", first.ID+3)} {
		image := fmt.Sprintf("example/app:v1%d", i)
		_, err := n.Patch("web", types.StrategicMergePatchType, fmt.Sprintf(
			`{"metadata":{"annotations":{"sluice.dev/approve":%q}},"spec":{"paused":false,"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, value, image))
		require.NoError(t, err)
		require.Empty(t, requireHeld(t, n, image, 1, 3).Approvals, value)
	}
	n.Quiet("web")
	require.Equal(t, canary.Waiting, n.Release("web").Phase)
	n.Approve("web")
	n.WaitStable("web")
}
