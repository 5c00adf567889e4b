package statefulset

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestOnDeleteIsNative(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().OnDelete().Obj())
	s.Mark("db", watch.Native)
	require.Equal(t, []string{"sluice: statefulset/db rolls out natively, without a canary: its update strategy is OnDelete"}, s.SetImage(v2).Warnings())
	require.Nil(t, s.Release())
	require.Equal(t, []string{v1, v1}, s.Images())
	twoSteps := "statefulset/" + other(t, s)
	s.Refused("alice", []string{"cannot change in one write", "apply the update strategy alone first"}, "kubectl", "patch", twoSteps,
		"-p", `{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	s.Refused("alice", []string{"cannot change in one write", "apply the number of replicas alone first"}, "kubectl", "patch", twoSteps,
		"-p", `{"spec":{"replicas":0,"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
}

// other makes a second StatefulSet, which rolls, and returns its name.
func other(t *testing.T, s harness.Set) string {
	t.Helper()
	set := two().Obj()
	set.Name = "other"
	set.Spec.Selector.MatchLabels = map[string]string{"app": "other"}
	set.Spec.Template.Labels = map[string]string{"app": "other"}
	s.Kubectl("create", "-f", s.Manifest(set))
	s.Kubectl("rollout", "status", "statefulset/other")
	return "other"
}

// TestAFirstVersionThatNeverBecameAvailable is held like any other: nothing in a StatefulSet tells it from an
// outage. In order its broken pod has to go first, as without sluice; that of a set of one pod is replaced.
func TestAFirstVersionThatNeverBecameAvailable(t *testing.T) {
	t.Parallel()
	s := harness.Set{Namespace: env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "4s"))}
	s.Kubectl("create", "-f", s.Manifest(db().Image(crash).Obj()))
	s.Wait("its first pod is there", func(set *appsv1.StatefulSet) bool { return set.Status.Replicas == 1 })
	s.SetImage(v2)
	require.Contains(t, s.WaitPhase(canary.Aborted, 1).Reason, "the set waits for pod db-0 container app: ")
	s.Kubectl("scale", "statefulset/db", "--replicas=1")
	s.Retry()
	s.WaitPhase(canary.Waiting, 1)
	s.Approve()
	s.WaitStable(v2)
	s.Kubectl("scale", "statefulset/db", "--replicas=4")
	s.WaitStable(v2)
}

func TestADaemonSetIsNative(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	set := two().Obj()
	daemons := &appsv1.DaemonSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Name: "agent"}}
	daemons.Spec.Selector, daemons.Spec.Template = set.Spec.Selector, set.Spec.Template
	n.Kubectl("create", "-f", n.Manifest(daemons))
	result := n.Kubectl("set", "image", "daemonset/agent", "app="+v2)
	require.Equal(t, []string{"sluice: daemonset/agent rolls out natively, without a canary: sluice holds Deployments and StatefulSets only"}, result.Warnings())
	d, err := n.Admin.AppsV1().DaemonSets(n.Name).Get(t.Context(), "agent", metav1.GetOptions{})
	require.NoError(t, err)
	require.NotContains(t, d.Annotations, canary.ReleaseAnnotation)
	require.Empty(t, env.Proxy.Writes(n.Name))
}

func TestADeletionInTheMiddleOfAReleaseStrandsNothing(t *testing.T) {
	t.Parallel()
	for _, cascade := range []string{"background", "foreground", "orphan"} {
		t.Run(cascade, func(t *testing.T) {
			t.Parallel()
			s := env.Namespace(t).CreateSet(two().Obj())
			s.SetImage(v2)
			requireHeld(t, s, 1, v1, v2)
			s.Kubectl("delete", "statefulset/db", "--cascade="+cascade, "--wait")
			left := 0
			if cascade == "orphan" {
				left = 2
			}
			s.Eventually("its pods and revisions are gone, or left", func(ctx context.Context) error {
				pods, err := s.Admin.CoreV1().Pods(s.Name).List(ctx, listOptions)
				if err != nil || len(pods.Items) != left {
					return errors.Join(err, errors.New("pods are there"))
				}
				revisions, err := s.Admin.AppsV1().ControllerRevisions(s.Name).List(ctx, listOptions)
				if err != nil || len(revisions.Items) != left {
					return errors.Join(err, errors.New("revisions are there"))
				}
				return nil
			})
			writes := len(env.Proxy.Writes(s.Name))
			s = s.CreateSet(two().Image(v2).Obj()) // orphans are taken in
			require.Zero(t, s.Partition())
			require.Nil(t, s.Release())
			s.WaitImages(v2, v2)
			require.Len(t, env.Proxy.Writes(s.Name), writes)
			s.SetImage(v3)
			requireHeld(t, s, 1, v2, v3)
		})
	}
}

func TestOptingInAndOut(t *testing.T) {
	t.Parallel()
	t.Run("what is not opted in never reaches sluice", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t, harness.OptedOut).CreateSet(two().Obj())
		s.Mark("db", watch.Native)
		require.Empty(t, s.SetImage(v2).Warnings())
		s.WaitStable(v2)
		require.Zero(t, env.Proxy.Reads(s.Name))
		for _, review := range s.Reviewed() {
			require.False(t, review.Called, review)
		}
		require.NotEmpty(t, s.Reviewed())
		s.OptIn()
		s.Kubectl("annotate", "statefulset/db", "example.com/poke=1")
		s.Quiet()
		require.Len(t, revisionsRun(s), 2, "opting in rolls nothing")
		s.SetImage(v3)
		requireHeld(t, s, 1, v2, v3)
	})
	t.Run("a release of a namespace that opts out can be finished", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(db().Obj())
		s.SetImage(v2)
		requireHeld(t, s, 1, v1, v1, v1, v2)
		s.OptOut()
		s.Kubectl("scale", "statefulset/db", "--replicas=5")
		s.WaitImages(v1, v1, v1, v2, v1)
		s.WaitPhase(canary.Waiting, 1)
		s.Approve()
		s.WaitStable(v2)
		s.Mark("db", watch.Native)
		require.Empty(t, s.SetImage(v3).Warnings())
		s.WaitStable(v3)
	})
	t.Run("a release of a namespace that opts out can be aborted", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(two().Obj())
		s.SetImage(v2)
		requireHeld(t, s, 1, v1, v2)
		s.OptOut()
		s.Abort()
		s.WaitImages(v1, v1)
		s.SetImage(v1)
		s.WaitStable(v1)
		require.Zero(t, s.Partition())
	})
	t.Run("canaries that are disabled in the middle of a release", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(db().Obj())
		s.SetImage(v2)
		requireHeld(t, s, 1, v1, v1, v1, v2)
		require.Zero(t, s.Command("admin", "kubectl", "annotate", "statefulset/db", canary.CanaryAnnotation+"=disabled").Code)
		s.Mark("db", watch.Native)
		require.Contains(t, s.SetImage(v3).Warnings(), "sluice: statefulset/db rolls out natively, without a canary: its canaries are disabled")
		s.WaitStable(v3)
		require.Zero(t, s.Partition())
	})
}
