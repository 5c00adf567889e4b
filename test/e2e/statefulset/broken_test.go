package statefulset

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

const crash = "example/app:crash"

func inBothOrders(t *testing.T, do func(t *testing.T, set *builders.StatefulSetBuilder)) {
	for name, set := range map[string]*builders.StatefulSetBuilder{"in order": db(), "in parallel": db().Parallel()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do(t, set)
		})
	}
}

func TestABrokenVersionIsTakenBackByItsDeadline(t *testing.T) {
	t.Parallel()
	inBothOrders(t, func(t *testing.T, set *builders.StatefulSetBuilder) {
		s := env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.DeadlineAnnotation, "3s")).CreateSet(set.Obj())
		stable := s.Pods()
		s.SetImage(crash)
		r := s.WaitPhase(canary.Aborted, 1)
		require.Contains(t, r.Reason, "0 of 2 canary pods were available after 3s: pod db-3 container app: ")
		s.WaitImages(v1, v1, v1, v1)
		requireKept(t, stable, s.Pods(), "db-0", "db-1", "db-2")
		require.EqualValues(t, harness.Closed, s.Partition())
		quietWhenAborted(s)
	})
}

func TestABrokenVersionIsRevertedOrSuperseded(t *testing.T) {
	t.Parallel()
	inBothOrders(t, func(t *testing.T, set *builders.StatefulSetBuilder) {
		s := env.Namespace(t, harness.Steps("50%")).CreateSet(set.Obj())
		stable := s.Pods()
		for _, broken := range []string{crash, unready} {
			s.SetImage(broken)
			s.WaitPhase(canary.Progressing, 1)
			s.WaitImages(v1, v1, v1) // and db-3, which is not ready
			s.SetImage(v1)
			s.WaitStable(v1)
			requireKept(t, stable, s.Pods(), "db-0", "db-1", "db-2")
		}
		s.SetImage(crash)
		s.WaitImages(v1, v1, v1)
		s.SetImage(v2)
		requireHeld(t, s, 1, v1, v1, v2, v2)
		requireKept(t, stable, s.Pods(), "db-0", "db-1")
		s.Approve()
		s.WaitStable(v2)
	})
}

func TestAVersionThatBreaksWhileItIsPromotedIsReverted(t *testing.T) {
	t.Parallel()
	s := four(t, "25%")
	s.SetImage(late)
	s.WaitPhase(canary.Waiting, 1)
	s.Approve()
	s.Wait("the native rollout goes on", func(set *appsv1.StatefulSet) bool {
		r, err := canary.DecodeRelease(set.Annotations)
		return err == nil && r != nil && r.Stage == canary.Finishing && set.Status.UpdatedReplicas == 2
	})
	s.Mark("db", watch.Disturbed)
	require.NoError(t, breakPod(t.Context(), s, "db-3"))
	s.SetImage(v1)
	s.WaitStable(v1)
}

func TestACanaryPodThatBreaksWhileWaitingIsSeen(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.DeadlineAnnotation, "8s")).CreateSet(db().Parallel().Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v2, v2)
	s.Mark("db", watch.Disturbed)
	require.NoError(t, breakPod(t.Context(), s, "db-3"))
	require.Contains(t, s.WaitEvent("db", "ReleaseProgressing"), "1 of 2 canary pods are available")
	r := s.WaitPhase(canary.Aborted, 1)
	require.Contains(t, r.Reason, "1 of 2 canary pods were available after 8s")
	s.WaitImages(v1, v1, v1, v1)
}

// TestAnAbortWhileAStablePodIsDown: what is taken back must not add up to an outage, even after the deadline.
func TestAnAbortWhileAStablePodIsDown(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.DeadlineAnnotation, "8s")).CreateSet(db().Parallel().Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v2, v2)
	s.Mark("db", watch.Disturbed)
	require.NoError(t, breakPod(t.Context(), s, "db-0"))
	broken := len(s.Recorded())
	s.Abort()
	s.WaitImages(v1, v1, v1) // after the deadline, and db-0 is still down
	require.Equal(t, 1, mostMissing(s.Recorded()[broken:], "db-2", "db-3"))
	require.Equal(t, canary.Aborted, s.Release().Phase)
	s.Quiet()
}

// mostMissing is how many of these pods, which are available at first, were not at once.
func mostMissing(events []watch.Event, names ...string) int {
	missing, most := map[string]bool{}, 0
	for _, e := range events {
		if e.Pod == nil || !slices.Contains(names, e.Pod.Name) {
			continue
		}
		delete(missing, e.Pod.Name)
		if e.Deleted || e.Pod.DeletionTimestamp != nil || !isReady(e.Pod) {
			missing[e.Pod.Name] = true
		}
		most = max(most, len(missing))
	}
	return most
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// TestAnOutageDoesNotOpenTheGate: in order, pods that are made again after an outage look like those of a new
// set.
func TestAnOutageDoesNotOpenTheGate(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(db().Replicas(2).Image("example/late-3s:v1").Obj())
	s.Mark("db", watch.Disturbed)
	for _, name := range []string{"db-0", "db-1"} {
		require.NoError(t, s.Admin.CoreV1().Pods(s.Name).Delete(t.Context(), name, deleteOptions))
	}
	s.Wait("nothing is available", func(set *appsv1.StatefulSet) bool { return set.Status.AvailableReplicas == 0 })
	s.SetImage(v2)
	requireHeld(t, s, 1, "example/late-3s:v1", v2)
}
