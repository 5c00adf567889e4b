package statefulset

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
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

func drivenTo(s harness.Set) driven {
	r := s.Release()
	if r == nil {
		return driven{}
	}
	return driven{r.ID, r.Step, r.Phase == canary.Aborted, len(r.Approvals)}
}

// driveSet sets an annotation that drives the release, as a user, and returns the error.
func driveSet(t *testing.T, s harness.Set, user, key, value string) error {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	_, err := env.Client(t, user).AppsV1().StatefulSets(s.Name).Patch(t.Context(), "db", types.MergePatchType, []byte(patch), patchOptions)
	return err
}

// TestWhatDrivesNothingInEveryPhase: whoever is not permitted, an approval at the wrong time, a partition of 0,
// and no replicas at all.
func TestWhatDrivesNothingInEveryPhase(t *testing.T) {
	t.Parallel()
	answers := map[string]string{ // to an approval by alice
		closedYet: "is not ready: ", opened: "is not ready: ", notReady: "is not ready: ",
		approved: `was approved by "alice" already`, promoting: `was approved by "alice" already`,
		aborting: "is aborted: aborted by alice", aborted: "is aborted: aborted by alice",
		reverting: "is being reverted to the stable version, so there is nothing to approve",
	}
	for name, answer := range answers {
		inPhases(t, []string{name}, func(t *testing.T, s harness.Set, _ phase, proceed func()) {
			defer proceed()
			r := s.Release()
			approval := s.Command("alice", "kubectl", "annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation+"="+r.ApproveFullValue())
			require.Contains(t, approval.Stderr, answer)
			require.Equal(t, name == approved || name == promoting, approval.Code == 0, approval)
			requireNothingDriven(t, s, r)
		})
	}
	inPhases(t, []string{waits}, func(t *testing.T, s harness.Set, _ phase, _ func()) {
		requireNothingDriven(t, s, s.Release())
	})
}

func requireNothingDriven(t *testing.T, s harness.Set, r *canary.Release) {
	t.Helper()
	before := drivenTo(s)
	for _, asked := range [][2]string{
		{canary.ApproveAnnotation, r.ApproveValue()}, {canary.ApproveAnnotation, r.ApproveFullValue()},
		{canary.AbortAnnotation, r.Name()}, {canary.RetryAnnotation, r.Name()},
	} {
		if err := driveSet(t, s, "bob", asked[0], asked[1]); err != nil { // else it means nothing here
			verb := map[bool]string{true: "abort", false: "promote"}[asked[0] == canary.AbortAnnotation]
			require.ErrorContains(t, err, `the verb "`+verb+`" on statefulsets.apps`)
		}
		require.Equal(t, before, drivenTo(s), asked)
	}
	bob := env.Client(t, "bob").AppsV1().StatefulSets(s.Name)
	for _, patch := range []string{`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`, `{"spec":{"updateStrategy":{"rollingUpdate":null}}}`} {
		_, err := bob.Patch(t.Context(), "db", types.MergePatchType, []byte(patch), patchOptions)
		require.NoError(t, err)
		require.Equal(t, s.Release().Holds(), s.Partition() != 0)
	}
	_, err := bob.Patch(t.Context(), "db", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), patchOptions)
	require.ErrorContains(t, err, "statefulset/db cannot be scaled to 0 while release")
	_, err = bob.UpdateScale(t.Context(), "db", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: s.Name}}, metav1.UpdateOptions{})
	require.ErrorContains(t, err, "statefulset/db cannot be scaled to 0 while release")
	require.Equal(t, before, drivenTo(s))
}

func TestAnAbortInEveryPhase(t *testing.T) {
	t.Parallel()
	inPhases(t, []string{closedYet, opened, notReady, waits, approved}, func(t *testing.T, s harness.Set, _ phase, proceed func()) {
		stable := s.Pods()
		s.Abort()
		proceed()
		s.WaitPhase(canary.Aborted, 1)
		s.WaitImages(v1, v1, v1)
		requireKept(t, stable, s.Pods(), "db-0", "db-1")
		require.Equal(t, "aborted by alice", s.Release().Reason)
		require.EqualValues(t, harness.Closed, s.Partition())
		quietWhenAborted(s)
		s.SetImage(v1)
		s.WaitStable(v1)
	})
	inPhases(t, []string{promoting}, func(t *testing.T, s harness.Set, p phase, proceed func()) {
		s.Refused("alice", []string{"is approved and the native rollout is under way: apply the old version to go back"},
			"kubectl", "annotate", "statefulset/db", canary.AbortAnnotation+"="+s.Release().Name())
		proceed()
		s.WaitStable(p.image)
	})
	inPhases(t, []string{aborting, aborted, reverting}, func(t *testing.T, s harness.Set, _ phase, proceed func()) {
		before := s.Release()
		again := s.Kubectl("annotate", "--overwrite", "statefulset/db", canary.AbortAnnotation+"="+before.Name(), "example.com/note=1")
		if before.Phase == canary.Reverting { // where it is aborted already, the annotation is there already
			require.Contains(t, again.Stderr, "sluice.dev/abort="+before.Name()+" does nothing")
		}
		require.Equal(t, before, s.Release())
		proceed()
		s.WaitImages(v1, v1, v1)
	})
}

// TestAnApprovalTogetherWithANewVersionApprovesNothing, whichever of the two releases it names.
func TestAnApprovalTogetherWithANewVersionApprovesNothing(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	s.SetImage(v2)
	first := requireHeld(t, s, 1, v1, v2)
	alice := env.Client(t, "alice").AppsV1().StatefulSets(s.Name)
	for i, value := range []string{first.ApproveValue(), fmt.Sprintf("%d/full", s.Get().Generation+1), fmt.Sprintf("%d/1", first.ID+3)} {
		image := fmt.Sprintf("example/app:v1%d", i)
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"sluice.dev/approve":%q}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, value, image)
		_, err := alice.Patch(t.Context(), "db", types.StrategicMergePatchType, []byte(patch), patchOptions)
		require.NoError(t, err)
		require.Empty(t, requireHeld(t, s, 1, v1, image).Approvals, value)
	}
	s.Quiet()
	require.Equal(t, canary.Waiting, s.Release().Phase)
	s.Approve()
	s.WaitStable("example/app:v12")
}
