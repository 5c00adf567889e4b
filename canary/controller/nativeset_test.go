package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// nativeSet is what the stateful set controller knows in one pass. A pod that is deleted is gone at once,
// and one that is made is ready at once, unless its image says "unready".
type nativeSet struct {
	*cluster
	object            *unstructured.Unstructured
	typed             *appsv1.StatefulSet
	current, update   string // revisions
	partition         int
	pods              map[int]*corev1.Pod
	ready, updated, n int
}

// syncSet is one pass over web: it makes and deletes pods in order, waiting for each, then replaces those
// from the partition on, the highest first.
func (c *cluster) syncSet() {
	c.t.Helper()
	object := newObject(statefulSetKind)
	if err := c.store.Get(context.Background(), web, object); err != nil || object.GetDeletionTimestamp() != nil {
		return
	}
	s := c.nativeSet(object)
	if s.fill() && s.condemn() {
		s.roll()
	}
	s.status()
}

func (c *cluster) nativeSet(object *unstructured.Unstructured) *nativeSet {
	c.t.Helper()
	w, err := decodeWorkload(object)
	require.NoError(c.t, err)
	s := &nativeSet{cluster: c, object: object, pods: map[int]*corev1.Pod{}}
	s.typed, err = w.set()
	require.NoError(c.t, err)
	s.n, s.partition = int(*s.typed.Spec.Replicas), int(*s.typed.Spec.UpdateStrategy.RollingUpdate.Partition)
	s.update = s.revise(w)
	if s.current = s.typed.Status.CurrentRevision; !s.exists(s.current) {
		s.current = s.update
	}
	for _, pod := range c.setPods() {
		var index int
		_, err := fmt.Sscanf(pod.Name, web.Name+"-%d", &index)
		require.NoError(c.t, err)
		s.pods[index] = &pod
	}
	return s
}

func (c *cluster) setPods() []corev1.Pod {
	c.t.Helper()
	list := &corev1.PodList{}
	require.NoError(c.t, c.store.List(context.Background(), list, client.InNamespace(web.Namespace)))
	return list.Items
}

// revise makes the revision of the template in the spec, and returns its name.
func (s *nativeSet) revise(w *workload) string {
	var template map[string]json.RawMessage // with numbers as they are
	require.NoError(s.t, json.Unmarshal(w.template, &template))
	sum := sha256.Sum256(w.template)
	name := web.Name + "-" + hex.EncodeToString(sum[:4])
	if s.exists(name) {
		return name
	}
	template["$patch"] = json.RawMessage(`"replace"`)
	revision := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: web.Namespace, Name: name, Labels: templateLabels(s.object),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.object, statefulSetKind)},
		},
		Data: runtime.RawExtension{Raw: mustJSON(map[string]any{"spec": map[string]any{"template": template}})},
	}
	require.NoError(s.t, s.store.Create(context.Background(), revision))
	return name
}

func (s *nativeSet) exists(revision string) bool {
	return s.raw.Get(context.Background(), types.NamespacedName{Namespace: web.Namespace, Name: revision}, &appsv1.ControllerRevision{}) == nil
}

// fill makes the pods that are missing; false: it has to wait for one.
func (s *nativeSet) fill() bool {
	for index := range s.n {
		if s.pods[index] == nil {
			s.make(index)
		}
		if !isReady(s.pods[index]) {
			return false
		}
	}
	return true
}

func (s *nativeSet) make(index int) {
	revision := s.update
	if index < s.partition {
		revision = s.current
	}
	image := s.imageOf(revision)
	labels := map[string]string{appsv1.StatefulSetRevisionLabel: revision}
	for key, value := range templateLabels(s.object) {
		labels[key] = value
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: web.Namespace, Name: fmt.Sprintf("%s-%d", web.Name, index), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.object, statefulSetKind)},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}},
	}
	if !strings.Contains(image, "unready") {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(s.now)}}
	}
	require.NoError(s.t, s.store.Create(context.Background(), pod))
	s.pods[index] = pod
}

func (s *nativeSet) imageOf(revision string) string {
	found := &appsv1.ControllerRevision{}
	require.NoError(s.t, s.raw.Get(context.Background(), types.NamespacedName{Namespace: web.Namespace, Name: revision}, found))
	var data map[string]any
	require.NoError(s.t, json.Unmarshal(found.Data.Raw, &data))
	return imageOf(data)
}

func (s *nativeSet) remove(index int) {
	require.NoError(s.t, s.store.Delete(context.Background(), s.pods[index]))
	delete(s.pods, index)
}

// condemn deletes the highest pod beyond N; false: it did.
func (s *nativeSet) condemn() bool {
	for index := 20; index >= s.n; index-- {
		if s.pods[index] != nil {
			s.remove(index)
			return false
		}
	}
	return true
}

func (s *nativeSet) roll() {
	for index := s.n - 1; index >= s.partition && index >= 0; index-- {
		if s.pods[index].Labels[appsv1.StatefulSetRevisionLabel] != s.update {
			s.remove(index)
			return
		}
	}
}

// status says how many pods are there, and which revision is the current one.
func (s *nativeSet) status() {
	for index, pod := range s.pods {
		if isReady(pod) {
			s.ready++
		}
		if index < s.n && pod.Labels[appsv1.StatefulSetRevisionLabel] == s.update {
			s.updated++
		}
	}
	if s.updated == s.n && s.ready == s.n && len(s.pods) == s.n {
		s.current = s.update
	}
	s.setStatus(s.object, map[string]any{
		"observedGeneration": s.object.GetGeneration(), "replicas": int64(len(s.pods)), "readyReplicas": int64(s.ready),
		"availableReplicas": int64(s.ready), "updatedReplicas": int64(s.updated),
		"currentRevision": s.current, "updateRevision": s.update,
	})
}
