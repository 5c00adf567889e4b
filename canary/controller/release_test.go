package controller

import (
	"context"
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// deploymentObject is web with 10 pods of the given image, without status.
func deploymentObject(image string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1",
		"kind":       "Deployment",
		"metadata":   map[string]any{"namespace": web.Namespace, "name": web.Name, "labels": map[string]any{"team": "blue"}},
		"spec": map[string]any{
			"replicas":        int64(10),
			"minReadySeconds": int64(3),
			"selector":        map[string]any{"matchLabels": map[string]any{"app": "web"}},
			"strategy": map[string]any{
				"type":          "RollingUpdate",
				"rollingUpdate": map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"},
			},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "web", "tier": "front"}},
				"spec": map[string]any{
					"containers": []any{map[string]any{"name": "web", "image": image}},
					// Fields that no library knows.
					"fieldOfTomorrow": map[string]any{"answer": int64(9007199254740993)},
				},
			},
		},
	}}
}

// running is a cluster in which version one of web runs and is complete.
func running(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	require.NoError(t, c.store.Create(context.Background(), deploymentObject("web:1")))
	c.native()
	return c
}

func setImage(image string) func(*unstructured.Unstructured) {
	return func(object *unstructured.Unstructured) {
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = image
		_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
	}
}

func resume(object *unstructured.Unstructured) {
	_ = unstructured.SetNestedField(object.Object, false, "spec", "paused")
}

func annotate(key, value string) func(*unstructured.Unstructured) {
	return func(object *unstructured.Unstructured) {
		all := annotationsOf(object)
		all[key] = value
		object.SetAnnotations(all)
	}
}

// upgrade makes one write that brings a new image, and lets it come to rest.
func (c *cluster) upgrade(image string) {
	c.t.Helper()
	c.user("helm", setImage(image))
	c.run()
}

func (c *cluster) approve() {
	c.t.Helper()
	c.user("kubectl-rollout", resume)
	c.run()
}

// hurry shortens the deadline of the releases to come, so that there is less to play.
func (c *cluster) hurry() {
	c.t.Helper()
	c.user("kubectl-annotate", annotate(canary.DeadlineAnnotation, "20s"))
}

// scenarios are whole releases. Each ends in a state of its own, whatever fails on the way.
var scenarios = map[string]struct {
	play func(*cluster)
	// wantPhase of the release in the end, empty where there is none; wantPods by image.
	wantPhase canary.Phase
	wantPods  map[string]int64
}{
	"held, approved and promoted": {
		play:     func(c *cluster) { c.upgrade("web:2"); c.approve() },
		wantPods: map[string]int64{"web:1": 0, "web:2": 10},
	},
	"held, waiting for approval": {
		play:      func(c *cluster) { c.upgrade("web:2") },
		wantPhase: canary.Waiting,
		wantPods:  map[string]int64{"web:1": 10, "web:2": 2},
	},
	"aborted by its deadline": {
		play:      func(c *cluster) { c.hurry(); c.upgrade("web:unready") },
		wantPhase: canary.Aborted,
		wantPods:  map[string]int64{"web:1": 10, "web:unready": 0},
	},
	"aborted, then fixed": {
		play:     func(c *cluster) { c.hurry(); c.upgrade("web:unready"); c.upgrade("web:3"); c.approve() },
		wantPods: map[string]int64{"web:1": 0, "web:3": 10},
	},
	"two steps, the second for ten minutes": {
		play: func(c *cluster) {
			c.user("kubectl-annotate", annotate(canary.StepsAnnotation, "20%, 50%:10m"))
			c.upgrade("web:2")
			c.approve()
		},
		wantPods: map[string]int64{"web:1": 0, "web:2": 10},
	},
	"aborted by hand, retried and promoted": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			id := c.release().Name()
			c.user("kubectl-annotate", annotate(canary.AbortAnnotation, id))
			c.run()
			require.Equal(c.t, map[string]int64{"web:1": 10, "web:2": 0}, c.pods())
			c.user("kubectl-annotate", annotate(canary.RetryAnnotation, c.release().Name()))
			c.run()
			c.approve()
		},
		wantPods: map[string]int64{"web:1": 0, "web:2": 10},
	},
	"scaled up, then down, while it waits": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.user("kubectl", replicas(20))
			c.run()
			require.Equal(c.t, map[string]int64{"web:1": 20, "web:2": 4}, c.pods())
			c.user("kubectl", replicas(3))
			c.run()
		},
		wantPhase: canary.Waiting,
		wantPods:  map[string]int64{"web:1": 3, "web:2": 1},
	},
	"a version of its history, promoted by sequence C": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.approve()
			c.upgrade("web:1")
			c.approve()
		},
		wantPods: map[string]int64{"web:1": 10, "web:2": 0},
	},
	"reverted": {
		play:     func(c *cluster) { c.upgrade("web:2"); c.upgrade("web:1") },
		wantPods: map[string]int64{"web:1": 10},
	},
	"superseded while the canary is adopted": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			c.user("kubectl-rollout", resume)
			c.until(func() bool { return c.release().Stage == canary.Adopting && c.owned() == 2 })
			c.upgrade("web:3")
		},
		wantPhase: canary.Waiting,
		wantPods:  map[string]int64{"web:1": 10, "web:3": 2},
	},
	"the stable replica set deleted by hand": {
		play: func(c *cluster) {
			c.upgrade("web:2")
			for _, rs := range c.replicaSets() {
				if imageOf(rs.Object) == "web:1" {
					require.NoError(c.t, c.store.Delete(context.Background(), &rs))
				}
			}
			c.run()
		},
		wantPhase: canary.Waiting,
		wantPods:  map[string]int64{"web:1": 10, "web:2": 2},
	},
}

func TestReleases(t *testing.T) {
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := running(t)
			scenario.play(c)
			var phase canary.Phase
			if release := c.release(); release != nil {
				phase = release.Phase
			}
			require.Equal(t, scenario.wantPhase, phase)
			require.Equal(t, scenario.wantPods, c.pods())
			if phase == "" {
				require.Empty(t, c.records())
				require.NotContains(t, c.workload().GetLabels(), canary.ActiveLabel)
				surge, _, _ := unstructured.NestedString(c.workload().Object, "spec", "strategy", "rollingUpdate", "maxSurge")
				require.Equal(t, "25%", surge)
			}
			requireQuiet(t, c)
		})
	}
}

// requireQuiet: in a steady state sluice writes nothing, also when it starts again.
func requireQuiet(t *testing.T, c *cluster) {
	t.Helper()
	c.restart()
	c.writes = nil
	c.run()
	require.Empty(t, c.writes)
}

// until lets sluice and the native controllers work until something is so.
func (c *cluster) until(so func() bool) {
	c.t.Helper()
	for range 500 {
		c.native()
		if so() {
			return
		}
		_, _ = c.once()
	}
	c.t.Fatal("it never came to be")
}

func (c *cluster) owned() int {
	w, err := decodeWorkload(c.workload())
	require.NoError(c.t, err)
	n := 0
	for _, item := range c.replicaSets() {
		if rs, err := decodeReplicaSet(&item, w); err == nil && rs != nil && rs.state.Owned {
			n++
		}
	}
	return n
}

// pods returns spec.replicas of the ReplicaSets by image.
func (c *cluster) pods() map[string]int64 {
	pods := map[string]int64{}
	for _, rs := range c.replicaSets() {
		replicas, _, _ := unstructured.NestedInt64(rs.Object, "spec", "replicas")
		pods[imageOf(rs.Object)] += replicas
	}
	return pods
}

func imageOf(object map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(object, "spec", "template", "spec", "containers")
	image, _ := containers[0].(map[string]any)["image"].(string)
	return image
}

var (
	uids  = regexp.MustCompile(`uid-([a-z0-9-]+)-\d+`)
	times = regexp.MustCompile(`,?\\?"(since|told|lastTransitionTime|lastUpdateTime)\\?": ?\\?"[^"]*"`)
)

// dump is everything but versions, times and the numbers of UIDs.
func (c *cluster) dump() string {
	objects := []map[string]any{c.workload().Object}
	for _, rs := range c.replicaSets() {
		objects = append(objects, rs.Object)
	}
	for _, pod := range c.setPods() {
		objects = append(objects, map[string]any{"name": pod.Name, "labels": pod.Labels, "spec": pod.Spec, "ready": isReady(&pod)})
	}
	for _, record := range c.records() {
		objects = append(objects, map[string]any{
			"name": record.Name, "labels": record.Labels, "owners": record.OwnerReferences, "data": json.RawMessage(record.Data.Raw),
		})
	}
	for _, object := range objects {
		for _, field := range []string{"resourceVersion", "generation", "creationTimestamp", "managedFields"} {
			unstructured.RemoveNestedField(object, "metadata", field)
		}
		unstructured.RemoveNestedField(object, "status", "observedGeneration")
		if conditions, ok, _ := unstructured.NestedSlice(object, "status", "conditions"); ok && len(conditions) == 0 {
			unstructured.RemoveNestedField(object, "status", "conditions") // whether there ever were any
		}
	}
	raw, err := json.MarshalIndent(objects, "", " ")
	require.NoError(c.t, err)
	return times.ReplaceAllString(uids.ReplaceAllString(string(raw), "uid-$1"), "")
}

// TestConfigAppliedAfterItsDeployment: it belongs to the same release, and there is one canary.
func TestConfigAppliedAfterItsDeployment(t *testing.T) {
	c := running(t)
	c.digest = "v1:0123456789abcdef:01"
	c.user("helm", func(object *unstructured.Unstructured) {
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = "web:2"
		containers[0].(map[string]any)["envFrom"] = []any{map[string]any{"configMapRef": map[string]any{"name": "web"}}}
		_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
	})
	held := c.now
	c.until(func() bool { return c.release().Since != nil })
	require.Len(t, c.replicaSets(), 1, "the canary is awaited")
	c.digest = "v1:0123456789abcdef:02"
	c.run()
	require.GreaterOrEqual(t, c.now.Sub(held), time.Second)
	require.Equal(t, map[string]int64{"web:1": 10, "web:2": 2}, c.pods())
	for _, rs := range c.replicaSets() {
		if rs.GetName() == c.canaryName() {
			digest, _, _ := unstructured.NestedString(rs.Object, "spec", "template", "metadata", "annotations", "sluice.dev/config-hash")
			require.Equal(t, c.digest, digest)
		}
	}
	c.approve()
	require.Nil(t, c.release())
	require.Len(t, c.replicaSets(), 2)
}

func TestDeadlineIsJudgedBetweenRetries(t *testing.T) {
	c := running(t)
	c.user("helm", setImage("web:unready"))
	c.run()
	require.WithinDuration(t, start.Add(10*time.Minute), c.now, 10*time.Second)
}
