package controller

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// native is one pass of the deployment and the replica set controller over everything. A pod is
// available at once, unless its image says "unready". It returns whether anything changed.
func (c *cluster) native() bool {
	c.t.Helper()
	before := c.stored
	if before == c.rested {
		return false
	}
	for range 20 {
		round := c.stored
		c.collectGarbage()
		if c.kind == statefulSetKind {
			c.syncSet()
		}
		for _, rs := range c.replicaSets() {
			c.syncReplicaSet(&rs)
		}
		found := newObject(deploymentKind)
		if err := c.store.Get(context.Background(), web, found); err == nil && found.GetDeletionTimestamp() == nil {
			c.syncDeployment(found)
		}
		if c.stored == round {
			c.rested = round
			return round != before
		}
	}
	c.t.Fatal("the native controllers do not come to rest")
	return false
}

// collectGarbage deletes what only owners had that exist no more.
func (c *cluster) collectGarbage() {
	uids := map[types.UID]bool{}
	for _, object := range c.raw.past {
		uids[object.GetUID()] = true
	}
	for _, object := range c.raw.past {
		owners := object.GetOwnerReferences()
		if len(owners) > 0 && !slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return uids[o.UID] }) {
			require.NoError(c.t, c.store.Delete(context.Background(), object.DeepCopyObject().(client.Object)))
		}
	}
}

func (c *cluster) syncReplicaSet(rs *unstructured.Unstructured) {
	replicas, _, _ := unstructured.NestedInt64(rs.Object, "spec", "replicas")
	containers, _, _ := unstructured.NestedSlice(rs.Object, "spec", "template", "spec", "containers")
	available := replicas
	if image, _ := containers[0].(map[string]any)["image"].(string); strings.Contains(image, "unready") {
		available = 0
	}
	c.setStatus(rs, map[string]any{
		"observedGeneration": rs.GetGeneration(), "replicas": replicas, "availableReplicas": available,
	})
}

// setStatus writes past admission and without a new generation. Conditions stay, as with the native
// controllers.
func (c *cluster) setStatus(object *unstructured.Unstructured, status map[string]any) {
	if conditions, ok, _ := unstructured.NestedSlice(object.Object, "status", "conditions"); ok {
		status["conditions"] = conditions
	}
	if old, _ := json.Marshal(object.Object["status"]); string(old) == string(mustJSON(status)) {
		return
	}
	c.stored++
	object.Object["status"] = status
	require.NoError(c.t, c.raw.Status().Update(context.Background(), object))
}

func mustJSON(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return raw
}

func (c *cluster) syncDeployment(object *unstructured.Unstructured) {
	w, err := decodeWorkload(object)
	require.NoError(c.t, err)
	owned := c.claim(w)
	state, err := w.state()
	require.NoError(c.t, err)
	var latest *replicaSet
	for _, rs := range owned {
		if rs.state.TemplateHash == state.TemplateHash && rs.state.TemplateDigest == state.TemplateDigest {
			latest = rs
		}
	}
	if latest == nil && !state.Paused {
		c.createNative(w)
		return
	}
	if latest != nil && c.revise(w, latest, owned) {
		return
	}
	if state.Paused {
		c.scalePaused(state, owned, latest)
	} else {
		c.roll(state, owned, latest)
	}
	c.syncStatus(w, owned, latest)
}

// claim adopts and releases ReplicaSets and returns those that the Deployment owns.
func (c *cluster) claim(w *workload) []*replicaSet {
	var owned []*replicaSet
	for _, item := range c.replicaSets() {
		rs, err := decodeReplicaSet(&item, w)
		require.NoError(c.t, err)
		switch {
		case rs == nil:
		case rs.state.Labelled && !rs.state.Owned:
			item.SetOwnerReferences(append(without(item.GetOwnerReferences(), w), w.controllerReference()))
			require.NoError(c.t, c.store.Update(context.Background(), &item))
		case rs.state.Owned && !rs.state.Labelled:
			item.SetOwnerReferences(without(item.GetOwnerReferences(), w))
			require.NoError(c.t, c.store.Update(context.Background(), &item))
		case rs.state.Owned:
			owned = append(owned, rs)
		}
	}
	return owned
}

func without(refs []metav1.OwnerReference, w *workload) []metav1.OwnerReference {
	var rest []metav1.OwnerReference
	for _, ref := range refs {
		if ref.UID != w.typed.UID {
			rest = append(rest, ref)
		}
	}
	return rest
}

func (c *cluster) createNative(w *workload) {
	template, _, _ := unstructured.NestedMap(w.object.Object, "spec", "template")
	hash := "native" + strconv.FormatInt(w.typed.Generation, 10)
	rs := newReplicaSet(w, w.typed.Name+"-"+hash, nil, w.controllerReference())
	require.NoError(c.t, setSpec(rs, w, podSpec{template: template, hash: hash, minReadySeconds: w.typed.Spec.MinReadySeconds}))
	rs.SetLabels(templateLabels(rs))
	require.NoError(c.t, c.store.Create(context.Background(), rs))
}

// revise numbers the newest ReplicaSet and tells whether it had to.
func (c *cluster) revise(w *workload, latest *replicaSet, owned []*replicaSet) bool {
	highest := 0
	for _, rs := range owned {
		if n, _ := strconv.Atoi(rs.state.Revision); rs != latest {
			highest = max(highest, n)
		}
	}
	revision := latest.state.Revision
	if n, _ := strconv.Atoi(revision); n <= highest {
		revision = strconv.Itoa(highest + 1)
	}
	if latest.state.Revision == revision && w.typed.Annotations[revisionAnnotation] == revision {
		return false
	}
	for _, object := range []*unstructured.Unstructured{latest.object, w.object} {
		annotations := annotationsOf(object)
		annotations[revisionAnnotation] = revision
		object.SetAnnotations(annotations)
		require.NoError(c.t, c.store.Update(context.Background(), object))
	}
	return true
}

// scalePaused is what the deployment controller does to the sizes of a paused Deployment, without a
// look at readiness but for the last rule.
func (c *cluster) scalePaused(state canary.WorkloadState, owned []*replicaSet, latest *replicaSet) {
	var active []*replicaSet
	total, newest := int32(0), latest
	for _, rs := range owned {
		if rs.state.Replicas > 0 {
			active = append(active, rs)
			total += rs.state.Replicas
		}
		if newest == nil {
			newest = rs
		}
	}
	switch {
	case len(active) == 1:
		c.size(active[0], state.Replicas)
	case len(active) == 0 && newest != nil:
		c.size(newest, state.Replicas)
	case latest != nil && latest.state.Replicas == state.Replicas && latest.state.AvailableReplicas == state.Replicas:
		c.roll(state, owned, latest)
	case len(active) > 1:
		largest := active[0]
		for _, rs := range active {
			if rs.state.Replicas > largest.state.Replicas {
				largest = rs
			}
		}
		c.size(largest, max(0, largest.state.Replicas+state.Replicas+state.MaxSurge-total))
	}
}

// roll is a rollout in one go.
func (c *cluster) roll(state canary.WorkloadState, owned []*replicaSet, latest *replicaSet) {
	c.size(latest, state.Replicas)
	if latest.state.AvailableReplicas < state.Replicas {
		return
	}
	for _, rs := range owned {
		if rs != latest {
			c.size(rs, 0)
		}
	}
}

func (c *cluster) size(rs *replicaSet, replicas int32) {
	if rs.state.Replicas == replicas {
		return
	}
	require.NoError(c.t, unstructured.SetNestedField(rs.object.Object, int64(replicas), "spec", "replicas"))
	require.NoError(c.t, c.store.Update(context.Background(), rs.object))
}

func (c *cluster) syncStatus(w *workload, owned []*replicaSet, latest *replicaSet) {
	var replicas, available, updated int64
	for _, rs := range owned {
		replicas += int64(rs.state.StatusReplicas)
		available += int64(rs.state.AvailableReplicas)
	}
	if latest != nil {
		updated = int64(latest.state.StatusReplicas)
	}
	object := newObject(deploymentKind)
	require.NoError(c.t, c.store.Get(context.Background(), web, object))
	c.setStatus(object, map[string]any{
		"observedGeneration": w.typed.Generation, "replicas": replicas, "availableReplicas": available, "updatedReplicas": updated,
	})
}

func mergePatch(t require.TestingT, object *unstructured.Unstructured, patch []byte) {
	require.NoError(t, mergeInto(object, patch), "patch %s", patch)
}

func mergeInto(object *unstructured.Unstructured, patch []byte) error {
	raw, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	if raw, err = jsonpatch.MergePatch(raw, patch); err != nil {
		return err
	}
	return object.UnmarshalJSON(raw)
}
