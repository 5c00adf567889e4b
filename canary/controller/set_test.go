package controller

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
		start:      []func(*unstructured.Unstructured){annotate(canary.DeadlineAnnotation, "20s")},
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
