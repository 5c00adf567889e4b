package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAPromotionCreatesExactlyThePodsThatAreMissing(t *testing.T) {
	t.Parallel()
	// Two of them with each size, in turns.
	strategies := [][2]string{{"25%", "25%"}, {"0", "1"}, {"1", "0"}, {"100%", "0"}}
	// Canary pods: 20 % is one pod of 1, 2 and 3, and two of 10; half is two of 3 and five of 10. With
	// five of 10 and maxSurge 0, an adoption that pinned no maxSurge would leave five stable pods.
	for i, size := range []struct {
		replicas, canaries int
		steps              string
	}{
		{1, 1, "20%"}, {2, 1, "20%"}, {2, 2, "100%"}, {3, 1, "20%"}, {3, 2, "50%"}, {3, 3, "100%"},
		{10, 2, "20%"}, {10, 5, "50%"}, {10, 10, "0%/100%"},
	} {
		for _, s := range [][2]string{strategies[i%4], strategies[(i+2)%4]} {
			t.Run(fmt.Sprintf("%d of %d pods, maxSurge %s and maxUnavailable %s", size.canaries, size.replicas, s[0], s[1]), func(t *testing.T) {
				t.Parallel()
				n := env.Namespace(t, harness.Steps(size.steps))
				n.Create(web().Replicas(int32(size.replicas)).RollingUpdate(s[0], s[1]).Obj())
				n.SetImage("web", v2)
				requireHeld(t, n, v2, size.canaries, size.replicas)
				proved := n.PodsOf("web", v2)
				before := n.Deployment("web")

				n.Approve("web")
				after := n.WaitStable("web")

				require.Subset(t, n.PodsOf("web", v2), proved, "the pods that proved themselves stay")
				events := n.Recorded()
				require.Equal(t, size.replicas, created(events, v2), "none is created twice")
				require.Equal(t, size.replicas, created(events, v1), "and no stable one")
				require.Equal(t, 2, replicaSetsMade(events))
				require.Equal(t, before.Spec.Strategy, after.Spec.Strategy)
				require.False(t, after.Spec.Paused)
			})
		}
	}
}

// TestAVersionFromTheHistoryIsPromotedByC: the Deployment has a ReplicaSet of its own for it, which is
// older than the canary, so there is nothing to adopt.
func TestAVersionFromTheHistoryIsPromotedByC(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%"))
	n.Create(web().Replicas(4).RollingUpdate("1", "0").Image(v2).Obj())
	n.SetImage("web", v1)
	requireHeld(t, n, v1, 2, 4)
	n.Approve("web")
	n.WaitStable("web")

	n.SetImage("web", v2)
	requireHeld(t, n, v2, 2, 4)
	n.Approve("web")
	n.WaitStable("web")
	require.Equal(t, map[string]int{v2: 4}, podImages(n.LivePods(t.Context(), "web")))
	events := n.Recorded()
	require.True(t, slices.ContainsFunc(events, func(e watch.Event) bool {
		return e.Deployment != nil && finishing(e.Deployment) && promotedBy(t, e.Deployment) == canary.SequenceC
	}))
	require.Equal(t, 4+4+2, created(events, v2), "the first ones, N new ones, and the canary's")
	require.LessOrEqual(t, mostPods(events), 4+1+2, "N, maxSurge and the canary")
	require.Len(t, n.ReplicaSets("web"), 2, "the canary's is gone")
}

func promotedBy(t *testing.T, d *appsv1.Deployment) canary.Sequence {
	t.Helper()
	r, err := canary.DecodeRelease(d.Annotations)
	require.NoError(t, err)
	return r.Sequence
}

// TestACanaryThatBreaksWhileItIsPromotedTakesNoStablePodAway: the deployment controller would shrink the
// stable ReplicaSet for an adopted one without a look at readiness. The watcher asserts throughout that
// all stable pods stay available while the Deployment is paused, and N - maxUnavailable afterwards.
func TestACanaryThatBreaksWhileItIsPromotedTakesNoStablePodAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps string
		when  func(*appsv1.Deployment, *canary.Release) bool
	}{
		"right after the approval, two of ten": {steps: "20%", when: func(_ *appsv1.Deployment, r *canary.Release) bool {
			return len(r.Approvals) > 0
		}},
		"right after the approval, five of ten": {steps: "50%", when: func(_ *appsv1.Deployment, r *canary.Release) bool {
			return len(r.Approvals) > 0
		}},
		"while it is adopted, ten of ten": {steps: "0%/100%", when: func(_ *appsv1.Deployment, r *canary.Release) bool {
			return r.Stage == canary.Adopting
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t, harness.Steps(test.steps), harness.Annotation(canary.DeadlineAnnotation, "5s"))
			n.Create(web().Replicas(10).RollingUpdate("0", "1").Obj())
			n.SetImage("web", v2)
			n.WaitPhase("web", canary.Waiting, 1)
			proved := n.PodsOf("web", v2)
			stable := n.PodsOf("web", v1)
			broken := breakOnce(t, n, proved, test.when)
			n.Approve("web")
			require.NoError(t, <-broken)

			// Whichever way it goes, all ten that serve are never fewer than nine.
			n.WaitDeployment("web", "the release ends or gives up", func(d *appsv1.Deployment) bool {
				r, err := canary.DecodeRelease(d.Annotations)
				return err == nil && (r == nil || r.Phase == canary.Aborted || r.Stage == canary.Finishing)
			})
			if r := n.Release("web"); r != nil && r.Phase == canary.Aborted {
				require.Subset(t, n.PodsOf("web", v1), stable)
			}
		})
	}
}

// breakOnce breaks all these pods as soon as the Deployment's release is as asked for.
func breakOnce(t *testing.T, n *harness.Namespace, pods []string, when func(*appsv1.Deployment, *canary.Release) bool) <-chan error {
	t.Helper()
	ctx := t.Context()
	w, err := n.Admin.AppsV1().Deployments(n.Name).Watch(ctx, listOptions)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		defer w.Stop()
		for e := range w.ResultChan() {
			d, ok := e.Object.(*appsv1.Deployment)
			if !ok {
				continue
			}
			if r, err := canary.DecodeRelease(d.Annotations); err != nil || r == nil || !when(d, r) {
				continue
			}
			var errs []error
			for _, pod := range pods {
				errs = append(errs, breakPod(ctx, n, pod))
			}
			done <- errors.Join(errs...)
			return
		}
		done <- errors.New("the watch ended first")
	}()
	return done
}

func TestACanaryPodThatIsLostWhileWaitingIsReplacedBeforeApproval(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)
	lost := n.PodsOf("web", v2)[0]
	require.NoError(t, breakPod(t.Context(), n, lost)) // one that is deleted may be replaced before sluice looks
	require.Contains(t, n.WaitEvent("web", "ReleaseProgressing"), "canary pods are available")
	require.NoError(t, n.Admin.CoreV1().Pods(n.Name).Delete(t.Context(), lost, deleteOptions))
	n.Eventually("another pod took its place", func(context.Context) error {
		if pods := n.PodsOf("web", v2); len(pods) != 2 || slices.Contains(pods, lost) {
			return fmt.Errorf("the canary's pods are %v", pods)
		}
		return nil
	})
	requireHeld(t, n, v2, 2, 4)
	n.Approve("web")
	n.WaitStable("web")
}

func TestTheMarksOfTheCanaryReplicaSetAreAStatusTable(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 50%"))
	n.Create(web().Replicas(4).Obj())
	n.SetImage("web", v2)
	n.WaitPhase("web", canary.Waiting, 1)
	row := func(want ...string) {
		t.Helper()
		n.Eventually(fmt.Sprintf("kubectl shows %v", want), func(context.Context) error {
			out := n.Kubectl("get", "rs", "-l", canary.WorkloadLabel+"=web", "--no-headers",
				"-L", canary.PhaseLabel+","+canary.StepLabel+","+canary.WeightLabel).Stdout
			for _, part := range want {
				if !containsWord(out, part) {
					return fmt.Errorf("it shows %s", out)
				}
			}
			return nil
		})
	}
	row("Waiting", "1", "20")
	n.Approve("web")
	n.WaitPhase("web", canary.Waiting, 2)
	row("Waiting", "2", "50")
	n.Abort("web")
	row("Aborted", "2", "0")
}
