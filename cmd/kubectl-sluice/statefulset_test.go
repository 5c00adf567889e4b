package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
)

// setWorld is a StatefulSet db of three pods, of which db-2 runs the canary of release 4, of v2.
type setWorld struct {
	set       *appsv1.StatefulSet
	release   *canary.Release // nil: none
	revisions []*appsv1.ControllerRevision
	pods      []*corev1.Pod
}

func newSetWorld() *setWorld {
	before := builders.MakeDeployment("db").Image("example/db:v1").Obj().Spec
	after := builders.MakeDeployment("db").Image("example/db:v2").Obj().Spec
	closed := int32(2147483647)
	w := &setWorld{set: &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "db", UID: "s-1", Generation: 4, ResourceVersion: "100",
		},
		Spec: appsv1.StatefulSetSpec{
			Replicas: pointer(int32(3)), Selector: after.Selector, Template: after.Template,
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &closed}},
		},
		Status: appsv1.StatefulSetStatus{
			ObservedGeneration: 4, Replicas: 3, AvailableReplicas: 3, UpdatedReplicas: 1, CurrentRevision: "db-old", UpdateRevision: "db-new",
		},
	}}
	w.addRevision("db-older", 1, builders.MakeDeployment("db").Image("example/db:v0").Obj().Spec.Template)
	w.addRevision("db-old", 2, before.Template)
	w.addRevision("db-new", 3, after.Template)
	for i, revision := range []string{"db-old", "db-old", "db-new"} {
		template := map[string]corev1.PodTemplateSpec{"db-old": before.Template, "db-new": after.Template}[revision]
		pod := runningPod(fmt.Sprintf("db-%d", i), template, since)
		pod.Labels = map[string]string{"app": "db", "controller-revision-hash": revision}
		pod.OwnerReferences = w.revisions[0].OwnerReferences
		w.pods = append(w.pods, pod)
	}
	w.release = &canary.Release{
		ID: 4, Phase: canary.Waiting, Step: 1, Author: "alice", Since: &since,
		Stable: revisionOf(before.Template), Canary: revisionOf(after.Template),
		Policy: canary.Policy{Steps: "20%, 100%", Deadline: canary.Duration(10 * time.Minute)},
	}
	return w
}

// addRevision adds what the StatefulSet controller keeps of a template.
func (w *setWorld) addRevision(name string, number int64, template corev1.PodTemplateSpec) {
	raw, err := json.Marshal(template)
	if err != nil {
		panic(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		panic(err)
	}
	fields["$patch"] = "replace"
	data, err := json.Marshal(map[string]any{"spec": map[string]any{"template": fields}})
	if err != nil {
		panic(err)
	}
	w.revisions = append(w.revisions, &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{"app": "db"},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Duration(4-number) * time.Hour)),
			OwnerReferences:   []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: w.set.UID, Controller: pointer(true)}},
		},
		Revision: number, Data: runtime.RawExtension{Raw: data},
	})
}

func (w *setWorld) objects() []runtime.Object {
	if w.release != nil {
		w.set.Labels = map[string]string{canary.ActiveLabel: "true"}
		w.set.Annotations = map[string]string{canary.ReleaseAnnotation: w.release.Encode()}
	}
	found := []runtime.Object{w.set}
	for _, revision := range w.revisions {
		found = append(found, revision)
	}
	for _, pod := range w.pods {
		found = append(found, pod)
	}
	return found
}

// stablePod makes a pod one of the stable revision.
func (w *setWorld) stablePod(i int) { w.pods[i].Labels["controller-revision-hash"] = "db-old" }

func TestEveryOutputOfAStatefulSetInEveryPhase(t *testing.T) {
	worlds := map[string]func(*setWorld){
		"statefulset-waiting": func(*setWorld) {},
		"statefulset-progressing": func(w *setWorld) {
			w.release.Phase, w.release.Gate = canary.Progressing, pointer(int32(2))
			breakPod(w.pods[2])
		},
		"statefulset-paused-before-the-release": func(w *setWorld) {
			w.release.Phase, w.release.Step, w.release.Held.Partition = canary.Progressing, 0, 3
			w.stablePod(2)
		},
		"statefulset-promoting": func(w *setWorld) {
			w.release.Phase, w.release.Stage, w.release.Sequence, w.release.Step = canary.Promoting, canary.Finishing, canary.SequenceP, 2
			w.set.Spec.UpdateStrategy.RollingUpdate.Partition = pointer(int32(0))
			w.set.Status.UpdatedReplicas = 2
			w.pods[1].Labels["controller-revision-hash"] = "db-new"
		},
		"statefulset-aborted": func(w *setWorld) {
			w.release.Phase, w.release.Reason = canary.Aborted, "aborted by bob"
			w.stablePod(2)
			w.set.Status.UpdatedReplicas = 0
		},
		"statefulset-reverting": func(w *setWorld) {
			w.release.Phase, w.release.Stage, w.release.Reason = canary.Reverting, canary.Finishing, "the stable version was applied again"
			w.set.Spec.Template = builders.MakeDeployment("db").Image("example/db:v1").Obj().Spec.Template
			w.set.Status.UpdateRevision = "db-old"
		},
		"statefulset-without-a-release": func(w *setWorld) {
			w.release = nil
			w.stablePod(2)
			w.set.Spec.UpdateStrategy.RollingUpdate = nil
			w.set.Status.CurrentRevision, w.set.Status.UpdatedReplicas = "db-new", 3
			for _, pod := range w.pods {
				pod.Labels["controller-revision-hash"] = "db-new"
			}
		},
		"statefulset-with-a-partition-of-its-own": func(w *setWorld) {
			w.release = nil
			w.set.Spec.UpdateStrategy.RollingUpdate.Partition = pointer(int32(2))
		},
	}
	for name, change := range worlds {
		w := newSetWorld()
		change(w)
		objects := w.objects()
		for command, args := range map[string][]string{
			"status":  {"status", "sts/db"},
			"list":    {"list"},
			"history": {"history", "statefulset", "db"},
		} {
			t.Run(name+"/"+command, func(t *testing.T) {
				s := newSession(objects...)
				require.Zero(t, s.run(t, args...), s.err.String())
				golden(t, name+"/"+command, s.out.String()+s.err.String())
			})
		}
	}
}
