package controller

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// TestStepsOfAPromotionOfAStatefulSet is one release from the hold to the end: each write, each Event.
func TestStepsOfAPromotionOfAStatefulSet(t *testing.T) {
	c := runningSet(t)
	c.upgrade("web:2")
	c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
	require.Equal(t, []string{
		"patch web",        // seen: since
		"patch web",        // the partition is open
		"patch status web", // Reconciling
		"patch web",        // and closed
		"patch web",        // Waiting
		"patch status web", // no condition: a person is awaited
		"patch web",        // Promoting
		"patch web",        // seen
		"patch status web", // Reconciling
		"patch status web", // no condition
		"patch web",        // ended
	}, c.writes)
	require.Regexp(t, `(?s)^Normal ReleaseHeld .*
Normal ReleaseWaiting .*
Normal ReleaseApproved .*
Normal ReleasePromoting .*
Normal ReleasePromoted [^\n]*$`, c.events())
}

// unready makes a pod as unready as a failing probe does.
func (c *cluster) unready(name string) {
	c.t.Helper()
	for _, pod := range c.setPods() {
		if pod.Name == name {
			pod.Status.Conditions = nil
			c.stored++
			require.NoError(c.t, c.raw.Status().Update(context.Background(), &pod))
		}
	}
}

// TestNoPodIsTakenBackThatCannotComeBack: a stable pod is down, and in order nothing is made while it is.
func TestNoPodIsTakenBackThatCannotComeBack(t *testing.T) {
	c := runningSet(t, annotate(canary.StepsAnnotation, "75%"))
	c.upgrade("web:2")
	c.unready("web-0")
	c.user("kubectl-annotate", annotate(canary.AbortAnnotation, c.release().Name()))
	for range 30 {
		_, err := c.once()
		require.NoError(t, err)
		c.native()
		c.now = c.now.Add(time.Minute) // its deadline is over on the way
		require.Equal(t, []string{"web:1", "web:2", "web:2", "web:2"}, c.setImages())
	}
	require.NoError(t, c.store.Delete(t.Context(), &c.setPods()[0])) // as whoever repairs it may do
	c.run()
	require.Equal(t, []string{"web:1", "web:1", "web:1", "web:1"}, c.setImages())
	requireQuiet(t, c)
}

// TestAVersionThatKubernetesStillMakesPodsOf: above a partition of the user's own runs the stable version,
// below it the one before. Back to that one is no release of its own: Kubernetes would make pods of it
// whatever the partition is.
func TestAVersionThatKubernetesStillMakesPodsOf(t *testing.T) {
	c := runningSet(t, partition(2))
	c.upgrade("web:2")
	c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
	require.Nil(t, c.release())
	require.Equal(t, []string{"web:1", "web:1", "web:2", "web:2"}, c.setImages())
	c.upgrade("web:1")
	require.Nil(t, c.release())
	require.Equal(t, []string{"web:1", "web:1", "web:1", "web:1"}, c.setImages())
	require.EqualValues(t, 2, partitionOf(c))
	require.Contains(t, c.events(), "it is the version that the set was coming from")
}

// TestAClockThatIsBehind: Kubernetes says that a pod was ready for long enough, and nothing more happens.
func TestAClockThatIsBehind(t *testing.T) {
	slowly := func(object *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(object.Object, int64(10), "spec", "minReadySeconds")
	}
	for name, play := range map[string]func(*cluster){
		"promoted": func(c *cluster) { c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue) },
		"reverted": func(c *cluster) { c.upgrade("web:1") },
		"aborted, then reverted": func(c *cluster) {
			c.drive(canary.AbortAnnotation, (*canary.Release).Name)
			require.Less(c.t, c.now.Sub(start), 5*time.Minute, "long before the deadline")
			require.Equal(c.t, []string{"web:1", "web:1", "web:1", "web:1"}, c.setImages())
			c.upgrade("web:1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := runningSet(t, slowly, annotate(canary.StepsAnnotation, "50%"))
			c.upgrade("web:2")
			require.Equal(t, canary.Waiting, c.release().Phase)
			play(c)
			require.Nil(t, c.release())
		})
	}
}

// TestIndexOf: pods that match its selector may be somebody else's.
func TestIndexOf(t *testing.T) {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "u1"}}
	set.Spec.Replicas, set.Spec.Ordinals = new(int32(3)), &appsv1.StatefulSetOrdinals{Start: 5}
	for name, test := range map[string]struct {
		pod  string
		uid  types.UID
		want int32 // -1: not a pod that counts
	}{
		"the first":                 {"web-5", "u1", 0},
		"the last":                  {"web-7", "u1", 2},
		"one that is to go":         {"web-8", "u1", -1},
		"one before the first":      {"web-4", "u1", -1},
		"of another set":            {"web-5", "u2", -1},
		"of a set with a long name": {"web-db-5", "u1", -1},
		"without a number":          {"web-x", "u1", -1},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Name: test.pod, OwnerReferences: []metav1.OwnerReference{{UID: test.uid, Controller: new(true)}},
			}}
			index, ok := indexOf(pod, set)
			require.Equal(t, test.want >= 0, ok)
			if ok {
				require.Equal(t, test.want, index)
			}
		})
	}
}
