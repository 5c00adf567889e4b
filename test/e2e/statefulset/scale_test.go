package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/test/e2e/watch"
)

func TestAScaleUpMakesStablePods(t *testing.T) {
	t.Parallel()
	s := four(t, "25%")
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v1, v2)
	s.Kubectl("scale", "statefulset/db", "--replicas=6")
	s.WaitImages(v1, v1, v1, v2, v1, v2) // a quarter of six is two
	requireHeld(t, s, 1, v1, v1, v1, v2, v1, v2)
	s.Kubectl("scale", "statefulset/db", "--replicas=3")
	requireHeld(t, s, 1, v1, v1, v2) // the canary pods that were the highest are gone
	s.Approve()
	s.WaitStable(v2)
}

func TestNoReplicasAreRefusedDuringARelease(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	wayOut := []string{"statefulset/db cannot be scaled to 0 while release", "apply the old version first", "kubectl annotate statefulset/db -n " + s.Name}
	s.Refused("alice", wayOut, "kubectl", "scale", "statefulset/db", "--replicas=0")
	s.Refused("alice", wayOut, "kubectl", "patch", "statefulset/db", "-p", `{"spec":{"replicas":0}}`)
	_, err := s.Admin.AppsV1().StatefulSets(s.Name).UpdateScale(t.Context(), "db",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: s.Name}}, metav1.UpdateOptions{})
	require.ErrorContains(t, err, "statefulset/db cannot be scaled to 0 while release")
	s.SetImage(v1)
	s.WaitStable(v1)
	s.Kubectl("scale", "statefulset/db", "--replicas=0")
	require.Contains(t, s.SetImage(v2).Stderr, "rolls out natively, without a canary: it has no replicas")
	require.Nil(t, s.Release())
}

func TestACanaryPodThatIsEvictedIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := four(t, "25%")
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v1, v1, v2)
	before := s.Pods()
	s.Mark("db", watch.Disturbed)
	require.NoError(t, s.Admin.CoreV1().Pods(s.Name).Delete(t.Context(), "db-3", deleteOptions))
	require.Contains(t, s.WaitEvent("db", "ReleaseProgressing"), "0 of 1 canary pods are available")
	requireHeld(t, s, 1, v1, v1, v1, v2)
	require.NotEqual(t, before["db-3"].UID, s.Pods()["db-3"].UID)
	s.Mark("db", watch.Restored)
	s.Approve()
	s.WaitStable(v2)
}
