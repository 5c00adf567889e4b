package crash

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// sharedSetWrites bring v2 from its hold to Waiting: it is seen, the partition opens and closes, it waits.
const sharedSetWrites = 4

func setStories() map[string]story {
	told := func(from int, tell func(harness.Set)) story {
		return story{set: true, from: from, tell: func(_ *testing.T, n *harness.Namespace) { tell(harness.Set{Namespace: n}) }}
	}
	waiting := func(s harness.Set, image string) {
		again(s.Namespace, "set", "image", "statefulset/db", "app="+image)
		s.WaitPhase(canary.Waiting, 1)
		s.WaitImages(v1, v1, image)
	}
	return map[string]story{
		"hold, approve, promote": told(1, func(s harness.Set) {
			waiting(s, v2)
			s.Mark("db", watch.Approved)
			drive(s, canary.ApproveAnnotation, (*canary.Release).ApproveValue)
			s.WaitStable(v2)
		}),
		"hold, two steps": twoSteps(),
		"hold, abort, retry": told(sharedSetWrites+1, func(s harness.Set) {
			waiting(s, v2)
			drive(s, canary.AbortAnnotation, (*canary.Release).Name)
			s.WaitPhase(canary.Aborted, 1)
			s.WaitImages(v1, v1, v1)
			s.Mark("db", watch.Retried)
			drive(s, canary.RetryAnnotation, (*canary.Release).Name)
			s.WaitPhase(canary.Waiting, 1)
			s.WaitImages(v1, v1, v2)
		}),
		"hold, revert to the stable version": told(sharedSetWrites+1, func(s harness.Set) {
			waiting(s, v2)
			again(s.Namespace, "set", "image", "statefulset/db", "app="+v1)
			s.WaitStable(v1)
		}),
		"hold, supersede": told(sharedSetWrites+1, func(s harness.Set) {
			waiting(s, v2)
			waiting(s, v3)
		}),
		"hold, scale up, scale down": told(sharedSetWrites+1, func(s harness.Set) {
			waiting(s, v2)
			again(s.Namespace, "scale", "statefulset/db", "--replicas=6")
			s.WaitImages(v1, v1, v2, v1, v1, v2) // 20 % of six is two
			s.WaitPhase(canary.Waiting, 1)
			again(s.Namespace, "scale", "statefulset/db", "--replicas=3")
			s.WaitImages(v1, v1, v2)
			s.WaitPhase(canary.Waiting, 1)
		}),
	}
}

func twoSteps() story {
	return story{set: true, from: sharedSetWrites + 1, steps: "20%, 50%", tell: func(_ *testing.T, n *harness.Namespace) {
		s := harness.Set{Namespace: n}
		again(n, "set", "image", "statefulset/db", "app="+v2)
		for step := range 2 {
			s.WaitPhase(canary.Waiting, step+1)
			s.Mark("db", watch.Approved)
			drive(s, canary.ApproveAnnotation, (*canary.Release).ApproveValue)
		}
		s.WaitStable(v2)
	}}
}

// drive drives the release by an annotation, again and again while sluice is away.
func drive(s harness.Set, key string, value func(*canary.Release) string) {
	again(s.Namespace, "annotate", "--overwrite", "statefulset/db", key+"="+value(s.Release()))
}

func TestSluiceKilledAfterAnyOfItsWritesToAStatefulSetEndsTheSame(t *testing.T) {
	sweep(t, setStories(), 4)
}

func holdSet(n *harness.Namespace) harness.Set {
	s := n.CreateSet(db().Obj())
	s.SetImage(v2)
	s.WaitPhase(canary.Waiting, 1)
	s.WaitImages(v1, v1, v2)
	return s
}

func TestWhileSluiceIsDeadAStatefulSetStaysHeld(t *testing.T) {
	s := holdSet(env.Namespace(t))
	release := s.Release()
	revive := dead(t)
	s.Kubectl("scale", "statefulset/db", "--replicas=5")
	s.WaitImages(v1, v1, v2, v1, v1)
	s.Mark("db", watch.Disturbed)
	for _, lost := range []string{"db-0", "db-2"} {
		require.NoError(t, s.Admin.CoreV1().Pods(s.Name).Delete(t.Context(), lost, metav1.DeleteOptions{}))
	}
	s.WaitImages(v1, v1, v1, v1, v1) // whatever is made is stable
	s.Mark("db", watch.Restored)
	require.Equal(t, release, s.Release())
	s.Refused("alice", []string{`failed calling webhook "releases.sluice.dev"`}, "kubectl", "patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`)
	require.EqualValues(t, harness.Closed, s.Partition())
	revive()
	s.WaitImages(v1, v1, v1, v1, v2)
	s.WaitPhase(canary.Waiting, 1)
	s.Approve()
	s.WaitStable(v2)
}

// TestAStatefulSetForcedToZeroPastSluice: Kubernetes forgets the stable version of a set without pods, so
// only the template can bring it back.
func TestAStatefulSetForcedToZeroPastSluice(t *testing.T) {
	s := holdSet(env.Namespace(t))
	revive := dead(t)
	withoutWebhooks(t, s.Namespace)
	s.Mark("db", watch.Disturbed)
	s.Mark("db", watch.ApprovedFull) // nothing can hold it any more
	s.Kubectl("scale", "statefulset/db", "--replicas=0")
	s.Wait("Kubernetes has forgotten the stable version", func(s *appsv1.StatefulSet) bool {
		return s.Status.Replicas == 0 && s.Status.CurrentRevision == s.Status.UpdateRevision
	})
	revive()
	release := s.WaitPhase(canary.Aborted, 1)
	require.Contains(t, release.Reason, "the set had no pods for a while")
	require.Contains(t, release.Reason, "apply the old version again")
	s.Kubectl("scale", "statefulset/db", "--replicas=3")
	s.WaitImages(v2, v2, v2)
	s.Mark("db", watch.Native) // v1 was the stable version
	s.SetImage(v1)
	s.WaitStable(v1)
	require.Zero(t, s.Partition())
}

// TestAHoldOfAStatefulSetThatIsLiftedPastSluice: it is held again, and what was made of the new version
// beyond the step goes.
func TestAHoldOfAStatefulSetThatIsLiftedPastSluice(t *testing.T) {
	s := env.Namespace(t)
	s.Unjudged()
	set := holdSet(s)
	revive := dead(t)
	withoutWebhooks(t, s)
	set.Kubectl("patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":1}}}}`)
	set.WaitImages(v1, v2, v2)
	rules := map[string]bool{}
	for _, v := range s.Violations(t.Context()) {
		rules[v.Rule] = true
	}
	require.True(t, rules["ungated"], "the watcher sees it")
	revive()
	set.WaitImages(v1, v1, v2)
	set.WaitPhase(canary.Waiting, 1)
	require.EqualValues(t, harness.Closed, set.Partition())
	set.Approve()
	set.WaitStable(v2)
}
