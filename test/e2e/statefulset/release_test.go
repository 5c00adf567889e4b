package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

type podsByName = map[string]corev1.Pod

func TestAReleaseIsHeldApprovedAndPromoted(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*builders.StatefulSetBuilder{
		"in order":          db(),
		"in parallel":       db().Parallel(),
		"from ordinal 5 on": db().Start(5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := env.Namespace(t, harness.Steps("25%, 50%")).CreateSet(set.Obj())
			before := db.Pods()
			warned := db.SetImage(v2)
			release := requireHeld(t, db, 1, v1, v1, v1, v2)
			require.Equal(t, []string{holdWarning(db, release, 2, "1 new pod of 4")}, warned.Warnings())
			require.Equal(t, "alice", release.Author)
			proved := db.Pods()

			approval := db.Approve()
			require.Contains(t, approval.Stderr, `is approved by "alice"; step 2 of 2 comes next`)
			requireHeld(t, db, 2, v1, v1, v2, v2)
			require.Contains(t, db.Approve().Stderr, `is approved by "alice"; it is promoted`)
			db.WaitStable(v2)
			after := db.Pods()
			kept := 0
			for name := range after {
				require.NotEqual(t, before[name].UID, after[name].UID)
				if proved[name].UID == after[name].UID {
					kept++
				}
			}
			require.Equal(t, 1, kept, "the pod that proved itself stays")
			require.Zero(t, db.Partition())
			db.Quiet()
		})
	}
}

func TestAllStepsAreApprovedAtOnce(t *testing.T) {
	t.Parallel()
	db := four(t, "25%, 50%, 75%")
	db.SetImage(v2)
	requireHeld(t, db, 1, v1, v1, v1, v2)
	require.Contains(t, db.ApproveFull().Stderr, `is approved by "alice"; it is promoted`)
	db.WaitStable(v2)
	db.Quiet()
}

func TestTimedStepsGoOnByThemselves(t *testing.T) {
	t.Parallel()
	db := four(t, "25%:2s, 50%:3s")
	require.Contains(t, db.SetImage(v2).Stderr, "once available, it goes on after 2s; abort by applying the old version")
	db.WaitStable(v2)
}

func TestASetOfOnePodWaitsForItsApprovalWithoutACanary(t *testing.T) {
	t.Parallel()
	db := env.Namespace(t).CreateSet(db().Replicas(1).Obj())
	db.SetImage(v2)
	requireHeld(t, db, 1, v1)
	db.Approve()
	db.WaitStable(v2)
}

func TestAnAbortBringsTheStablePodsBack(t *testing.T) {
	t.Parallel()
	db := four(t, "50%")
	stable := db.Pods()
	db.SetImage(v2)
	requireHeld(t, db, 1, v1, v1, v2, v2)
	warned := db.Abort()
	require.Contains(t, warned.Stderr, "is aborted; the stable version stays. Go on with another version, or try again: kubectl annotate statefulset/db")
	db.WaitImages(v1, v1, v1, v1)
	require.Equal(t, v2, db.Image(), "the user's template stays")
	require.EqualValues(t, harness.Closed, db.Partition())
	require.Contains(t, db.WaitEvent("db", "ReleaseAborted"), "aborted by alice")
	quietWhenAborted(db)

	again := db.Kubectl("annotate", "statefulset/db", "example.com/note=1")
	require.Contains(t, again.Stderr, "is still held and aborted: aborted by alice")

	db.Retry()
	requireHeld(t, db, 1, v1, v1, v2, v2)
	db.Abort()
	db.WaitImages(v1, v1, v1, v1)
	db.SetImage(v3)
	requireHeld(t, db, 1, v1, v1, v3, v3)
	db.SetImage(v1)
	db.WaitStable(v1)
	requireKept(t, stable, db.Pods(), "db-0", "db-1")
	require.Zero(t, db.Partition())
	db.Quiet()
}
