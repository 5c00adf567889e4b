package main

import (
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/builders"
)

const (
	namespace = "shop"
	v1, v2    = "example/web:v1", "example/web:v2"
)

var (
	// now is when the tests look.
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	since = now.Add(-3 * time.Minute)
)

// world is what a cluster holds: a Deployment web of five pods of v1 whose release 5, of v2, is in its
// first step of three, and what belongs to it. Tests change it before it is read.
type world struct {
	deployment     *appsv1.Deployment
	release        *canary.Release // nil: none
	stable, canary *appsv1.ReplicaSet
	old            *appsv1.ReplicaSet // of the history
	pods           []*corev1.Pod
	numbered       int // pods, for their names
	more           []runtime.Object
}

func newWorld() *world {
	d := builders.MakeDeployment("web").Replicas(5).Image(v1).Env("MODE", "blue").PodAnnotation(hashing.AnnotationConfigHash, "v1:k1:0011223344556677").Obj()
	d.Namespace, d.UID, d.Generation, d.ResourceVersion = namespace, "d-1", 7, "100"
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 7, Replicas: 5, AvailableReplicas: 5}
	w := &world{deployment: d}
	w.old = w.replicaSet("web-5f6d", 1, 26*time.Hour)
	w.old.Spec.Template.Spec.Containers[0].Image = "example/web:v0"
	w.old.Annotations["kubernetes.io/change-cause"] = "first version"
	w.stable = w.replicaSet("web-7c9b", 2, 2*time.Hour)
	w.stable.Spec.Replicas, w.stable.Status.AvailableReplicas = d.Spec.Replicas, 5

	d.Spec.Template = builders.MakeDeployment("web").Image(v2).Env("MODE", "green").Sidecar("proxy", "example/proxy:v3").
		PodAnnotation(hashing.AnnotationConfigHash, "v1:k1:8899aabbccddeeff").Obj().Spec.Template
	w.canary = w.replicaSet("web-x4k2", 0, 4*time.Minute)
	w.canary.OwnerReferences[0].Controller = nil
	w.canary.Labels = map[string]string{canary.WorkloadLabel: "web", canary.ReleaseLabel: "5"}
	w.canary.Spec.Replicas = pointer(int32(1))
	w.canary.Status.AvailableReplicas = 1

	w.release = &canary.Release{
		ID: 5, Phase: canary.Waiting, Step: 1, Author: "alice", Since: &since,
		Stable: revisionOf(w.stable.Spec.Template), Canary: revisionOf(d.Spec.Template),
		Policy: canary.Policy{Steps: "20%, 50%/3:10m, 100%/100%", Deadline: canary.Duration(10 * time.Minute)},
	}
	w.addPods(w.stable, 5, since)
	w.addPods(w.canary, 1, since)
	return w
}

// replicaSet returns one of the Deployment's, with its template as it is now.
func (w *world) replicaSet(name string, number int, age time.Duration) *appsv1.ReplicaSet {
	yes := true
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("uid-" + name),
			CreationTimestamp: metav1.NewTime(now.Add(-age)),
			Labels:            map[string]string{"app": "web"},
			Annotations:       map[string]string{},
			OwnerReferences:   []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: w.deployment.UID, Controller: &yes}},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: pointer(int32(0)), Selector: w.deployment.Spec.Selector, Template: *w.deployment.Spec.Template.DeepCopy()},
	}
	if number > 0 {
		rs.Annotations["deployment.kubernetes.io/revision"] = fmt.Sprint(number)
	}
	rs.Spec.Template.Labels = map[string]string{"app": "web", "pod-template-hash": name[len("web-"):]}
	return rs
}

// addPods adds pods that run.
func (w *world) addPods(rs *appsv1.ReplicaSet, count int, created time.Time) {
	for range count {
		w.numbered++
		w.pods = append(w.pods, runningPod(fmt.Sprintf("%s-%02d", rs.Name, w.numbered), rs.Spec.Template, created))
	}
}

func runningPod(name string, template corev1.PodTemplateSpec, created time.Time) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: template.Labels, CreationTimestamp: metav1.NewTime(created)},
		Spec:       *template.Spec.DeepCopy(),
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
		}},
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	return pod
}

// recordStable adds the record that sluice keeps of the stable template, and one of another version.
func (w *world) recordStable() {
	for i, rs := range []*appsv1.ReplicaSet{w.old, w.stable} {
		template := rs.Spec.Template.DeepCopy()
		delete(template.Labels, "pod-template-hash")
		data, err := json.Marshal(map[string]any{"replicaSet": rs.Name, "template": template})
		if err != nil {
			panic(err)
		}
		w.more = append(w.more, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{canary.WorkloadLabel: "web"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: w.deployment.UID}},
			},
			Data: runtime.RawExtension{Raw: data},
		})
	}
}

// breakPod makes a pod one whose image cannot be pulled.
func breakPod(pod *corev1.Pod) {
	pod.Status.Phase = corev1.PodPending
	pod.Status.Conditions[1] = corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: "containers with unready status: [app]"}
	pod.Status.ContainerStatuses[0].Ready = false
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "ImagePullBackOff", Message: "Back-off pulling image \"" + pod.Spec.Containers[0].Image + "\"",
	}}
}

// canaryPods are the pods of v2.
func (w *world) canaryPods() []*corev1.Pod { return w.pods[5:] }

// dropCanary leaves the canary without pods.
func (w *world) dropCanary() {
	w.canary.Spec.Replicas, w.canary.Status.AvailableReplicas = pointer(int32(0)), 0
	w.pods = w.pods[:5]
}

// end takes the release away, as if v1 had never been left.
func (w *world) end() {
	w.release, w.canary = nil, nil
	w.pods = w.pods[:5]
	template := *w.stable.Spec.Template.DeepCopy()
	delete(template.Labels, "pod-template-hash")
	w.deployment.Spec.Template = template
	w.deployment.Status.UpdatedReplicas = 5
}

// objects are what the API server stores.
func (w *world) objects() []runtime.Object {
	if w.release != nil {
		w.deployment.Labels = map[string]string{canary.ActiveLabel: "true"}
		w.deployment.Annotations = map[string]string{canary.ReleaseAnnotation: w.release.Encode()}
		w.deployment.Spec.Paused = w.release.Holds()
	}
	found := append([]runtime.Object{w.deployment}, w.more...)
	for _, rs := range []*appsv1.ReplicaSet{w.old, w.stable, w.canary} {
		if rs != nil {
			found = append(found, rs)
		}
	}
	for _, pod := range w.pods {
		found = append(found, pod)
	}
	return found
}

func revisionOf(template corev1.PodTemplateSpec) canary.Revision {
	raw, err := json.Marshal(template)
	if err != nil {
		panic(err)
	}
	hash, err := canary.HashTemplate(raw)
	if err != nil {
		panic(err)
	}
	return canary.Revision{Hash: hash, Digest: template.Annotations[hashing.AnnotationConfigHash]}
}

func pointer[T any](value T) *T { return &value }
