package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAReleaseIsHeldApprovedAndPromoted(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*builders.StatefulSetBuilder{
		"in order":          db(),
		"in parallel":       db().Parallel(),
		"from ordinal 5 on": db().Start(5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := create(t, env.Namespace(t, harness.Steps("25%, 50%")), set.Obj())
			before := db.pods()
			warned := db.setImage(v2)
			require.Contains(t, warned.Stderr, "statefulset/db is held as release")
			db.waitPhase(canary.Waiting, 1)
			db.waitPods(v1, v1, v1, v2)
			require.EqualValues(t, held, db.partition())
			proved := db.pods()

			db.approve()
			db.waitPhase(canary.Waiting, 2)
			db.waitPods(v1, v1, v2, v2)
			db.approve()
			db.waitStable(v2, 0)
			after := db.pods()
			kept := 0
			for name := range after {
				require.NotEqual(t, before[name].UID, after[name].UID)
				if proved[name].UID == after[name].UID {
					kept++
				}
			}
			require.Equal(t, 1, kept, "the pod that proved itself stays")
		})
	}
}

func TestAnAbortBringsTheStablePodsBack(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t, harness.Steps("50%")), db().Obj())
	db.setImage(v2)
	db.waitPhase(canary.Waiting, 1)
	db.waitPods(v1, v1, v2, v2)
	stable := db.pods()
	db.Kubectl("annotate", "statefulset/db", canary.AbortAnnotation+"="+db.release().Name())
	db.waitPods(v1, v1, v1, v1)
	require.Equal(t, stable["db-0"].UID, db.pods()["db-0"].UID)
	require.Equal(t, stable["db-1"].UID, db.pods()["db-1"].UID)
	require.Equal(t, v2, db.get().Spec.Template.Spec.Containers[0].Image, "the user's template stays")
	require.EqualValues(t, held, db.partition())

	db.setImage(v3)
	db.waitPhase(canary.Waiting, 1)
	db.waitPods(v1, v1, v3, v3)
	db.setImage(v1)
	db.waitStable(v1, 0)
	require.Equal(t, stable["db-0"].UID, db.pods()["db-0"].UID)
}

func TestABrokenVersionIsTakenBackByItsDeadline(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.DeadlineAnnotation, "3s")), db().Obj())
	stable := db.pods()
	db.setImage("example/app:crash")
	r := db.waitPhase(canary.Aborted, 1)
	require.Contains(t, r.Reason, "0 of 2 canary pods were available after 3s: pod db-3 container app: ")
	db.waitPods(v1, v1, v1, v1)
	require.Equal(t, stable["db-0"].UID, db.pods()["db-0"].UID)
	require.Equal(t, stable["db-2"].UID, db.pods()["db-2"].UID, "in order, the second pod was not touched")
}

func TestABrokenVersionIsRevertedByTheOldOne(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t, harness.Steps("50%")), db().Obj())
	db.setImage("example/app:crash")
	db.waitPhase(canary.Progressing, 1)
	db.waitPods(v1, v1, v1) // and db-3, which crashes
	db.setImage(v1)
	db.waitStable(v1, 0)
}

func TestAScaleUpMakesStablePods(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t, harness.Steps("25%")), db().Obj())
	db.setImage(v2)
	db.waitPhase(canary.Waiting, 1)
	db.waitPods(v1, v1, v1, v2)
	db.Kubectl("scale", "statefulset/db", "--replicas=6")
	db.waitPods(v1, v1, v1, v2, v1, v2) // a quarter of six is two
	db.waitPhase(canary.Waiting, 1)
	require.Contains(t, db.approve().Stderr, "is approved")
	db.waitStable(v2, 0)
}

func TestAPartitionThatIsAppliedAgainReleasesNothing(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t, harness.Steps("25%")), db().Obj())
	db.setImage(v2)
	db.waitPhase(canary.Waiting, 1)
	result := db.Kubectl("patch", "statefulset/db", "-p", `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}`)
	require.Contains(t, result.Stderr, `"partition: 2" approves nothing`)
	require.EqualValues(t, held, db.partition())
	db.waitPods(v1, v1, v1, v2)
	db.approve()
	db.wait("the user's partition is back", func(s *appsv1.StatefulSet) bool { return s.Annotations[canary.ReleaseAnnotation] == "" })
	require.EqualValues(t, 2, db.partition())
	db.waitPods(v1, v1, v2, v2)
}

func TestOnDeleteIsNative(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t), db().OnDelete().Obj())
	require.Contains(t, db.setImage(v2).Stderr, "rolls out natively, without a canary: its update strategy is OnDelete")
	require.Nil(t, db.release())
}

func TestNoReplicasAreRefusedDuringARelease(t *testing.T) {
	t.Parallel()
	db := create(t, env.Namespace(t), db().Obj())
	db.setImage(v2)
	db.waitPhase(canary.Waiting, 1)
	refused := db.Command("alice", "kubectl", "scale", "statefulset/db", "--replicas=0")
	require.Contains(t, refused.Stderr, "statefulset/db cannot be scaled to 0 while release")
}
