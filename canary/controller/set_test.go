package controller

import (
	"context"
	"slices"
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

// setObject is a StatefulSet web with 4 pods of the given image, without status.
func setObject(image string) *unstructured.Unstructured {
	object := deploymentObject(image)
	object.SetKind(canary.StatefulSet)
	spec := object.Object["spec"].(map[string]any)
	spec["replicas"], spec["podManagementPolicy"] = int64(4), "OrderedReady"
	spec["updateStrategy"] = map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(0)}}
	delete(spec, "strategy")
	delete(spec, "minReadySeconds")
	return object
}

// runningSet is a cluster in which version one of the StatefulSet web runs and is complete.
func runningSet(t *testing.T, changes ...func(*unstructured.Unstructured)) *cluster {
	t.Helper()
	object := setObject("web:1")
	annotate(canary.StepsAnnotation, "25%, 50%")(object)
	for _, change := range changes {
		change(object)
	}
	c := newClusterOf(t, statefulSetKind)
	require.NoError(t, c.store.Create(context.Background(), object))
	c.native()
	require.Equal(t, []string{"web:1", "web:1", "web:1", "web:1"}, c.setImages())
	return c
}

func replicas(n int64) func(*unstructured.Unstructured) {
	return func(object *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(object.Object, n, "spec", "replicas")
	}
}

func partition(n int64) func(*unstructured.Unstructured) {
	return func(object *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(object.Object, n, "spec", "updateStrategy", "rollingUpdate", "partition")
	}
}

// drive drives the release by an annotation and lets it come to rest.
func (c *cluster) drive(key string, value func(*canary.Release) string) {
	c.t.Helper()
	c.user("kubectl-annotate", annotate(key, value(c.release())))
	c.run()
}

func (c *cluster) approveStep() {
	c.t.Helper()
	c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveValue)
}

// setImages returns the images of the pods in the order of their names.
func (c *cluster) setImages() []string {
	c.t.Helper()
	images := map[string]string{}
	var names []string
	for _, pod := range c.setPods() {
		names, images[pod.Name] = append(names, pod.Name), pod.Spec.Containers[0].Image
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = images[name]
	}
	return names
}

// setScenarios are whole releases of a StatefulSet, as scenarios are of a Deployment.
var setScenarios = map[string]struct {
	start      []func(*unstructured.Unstructured)
	play       func(*cluster)
	wantPhase  canary.Phase
	wantImages []string
}{
	"held, approved and promoted": {
		play:       func(c *cluster) { c.upgrade("web:2"); c.approveStep(); c.approveStep() },
		wantImages: []string{"web:2", "web:2", "web:2", "web:2"},
	},
	"approved in full": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
		},
		wantImages: []string{"web:2", "web:2", "web:2", "web:2"},
	},
	"waiting at step two": {
		play:       func(c *cluster) { c.upgrade("web:2"); c.approveStep() },
		wantPhase:  canary.Waiting,
		wantImages: []string{"web:1", "web:1", "web:2", "web:2"},
	},
	"aborted by its deadline, then fixed": {
		play:       func(c *cluster) { c.upgrade("web:unready"); c.upgrade("web:3"); c.approveStep(); c.approveStep() },
		wantImages: []string{"web:3", "web:3", "web:3", "web:3"},
	},
	"aborted by hand at step two and tried again": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.approveStep()
			c.drive(canary.AbortAnnotation, (*canary.Release).Name)
			require.Equal(c.t, []string{"web:1", "web:1", "web:1", "web:1"}, c.setImages())
			c.drive(canary.RetryAnnotation, (*canary.Release).Name)
		},
		wantPhase:  canary.Waiting,
		wantImages: []string{"web:1", "web:1", "web:1", "web:2"},
	},
	"superseded at step two": {
		play:       func(c *cluster) { c.upgrade("web:2"); c.approveStep(); c.upgrade("web:3") },
		wantPhase:  canary.Waiting,
		wantImages: []string{"web:1", "web:1", "web:1", "web:3"},
	},
	"reverted": {
		play:       func(c *cluster) { c.upgrade("web:2"); c.upgrade("web:1") },
		wantImages: []string{"web:1", "web:1", "web:1", "web:1"},
	},
	"a broken version is reverted": {
		play: func(c *cluster) {
			c.user("helm", setImage("web:unready"))
			c.until(func() bool { return slices.Contains(c.setImages(), "web:unready") })
			c.upgrade("web:1")
		},
		wantImages: []string{"web:1", "web:1", "web:1", "web:1"},
	},
	"scaled up, then down": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.user("kubectl", replicas(8))
			c.run()
			require.Equal(c.t, []string{"web:1", "web:1", "web:1", "web:2", "web:1", "web:1", "web:1", "web:2"}, c.setImages())
			c.user("kubectl", replicas(3))
			c.run()
		},
		wantPhase:  canary.Waiting,
		wantImages: []string{"web:1", "web:1", "web:2"},
	},
	"with a partition of the user's own": {
		start:      []func(*unstructured.Unstructured){partition(3)},
		play:       func(c *cluster) { c.upgrade("web:2"); c.approveStep(); c.approveStep() },
		wantImages: []string{"web:1", "web:1", "web:1", "web:2"},
	},
}

func TestReleasesOfAStatefulSet(t *testing.T) {
	for name, scenario := range setScenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := runningSet(t, scenario.start...)
			own := partitionOf(c)
			scenario.play(c)
			var phase canary.Phase
			if release := c.release(); release != nil {
				phase = release.Phase
			}
			require.Equal(t, scenario.wantPhase, phase)
			require.Equal(t, scenario.wantImages, c.setImages())
			if phase == "" {
				require.NotContains(t, c.workload().GetLabels(), canary.ActiveLabel)
				require.Equal(t, own, partitionOf(c))
			}
			requireQuiet(t, c)
		})
	}
}

func partitionOf(c *cluster) int64 {
	p, _, _ := unstructured.NestedInt64(c.workload().Object, "spec", "updateStrategy", "rollingUpdate", "partition")
	return p
}

// TestEveryCallForAStatefulSetFailsOnce is TestEveryCallFailsOnce for a StatefulSet.
func TestEveryCallForAStatefulSetFailsOnce(t *testing.T) {
	all := []fault{conflict, crash, timeout, busy, broken}
	for name, faults := range map[string][]fault{
		"held, approved and promoted":                 all,
		"aborted by hand at step two and tried again": {conflict, crash, timeout, busy},
		"superseded at step two":                      {conflict, crash, timeout},
		"a broken version is reverted":                {conflict, crash, timeout},
		"scaled up, then down":                        {conflict, crash, timeout},
	} {
		s := setScenarios[name]
		sweepFaults(t, name, faults, func(t *testing.T) *cluster { return runningSet(t, s.start...) }, s.play)
	}
}

// TestStepsOfAPromotionOfAStatefulSet is one release from the hold to the end: each write, each Event.
func TestStepsOfAPromotionOfAStatefulSet(t *testing.T) {
	c := runningSet(t)
	c.upgrade("web:2")
	c.drive(canary.ApproveAnnotation, (*canary.Release).ApproveFullValue)
	require.Equal(t, []string{
		"patch web", // seen: since
		"patch web", // the partition is open
		"patch web", // and closed
		"patch web", // Waiting
		"patch web", // Promoting
		"patch web", // seen
		"patch web", // ended
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
