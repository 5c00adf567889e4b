package watch

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
)

// story builds events, each one second and one revision after the one before.
type story struct {
	events []Event
	now    time.Time
	remade bool // the StatefulSet was deleted, and is another one from now on
}

func (s *story) add(e Event) *story {
	if s.now.IsZero() {
		s.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	s.now = s.now.Add(time.Second)
	e.Revision, e.At = int64(len(s.events)+1), s.now
	s.events = append(s.events, e)
	return s
}

func (s *story) after(d time.Duration) *story {
	s.now = s.now.Add(d)
	return s
}

func (s *story) mark(f Fact) *story {
	return s.add(Event{Mark: &Mark{Workload: "web", Fact: f}})
}

// deployment stores web with this image, replicas and pause.
func (s *story) deployment(image string, n int32, paused bool, edit ...func(*appsv1.Deployment)) *story {
	d := builders.MakeDeployment("web").Image(image).Replicas(n).RollingUpdate("1", "0").Obj()
	d.UID, d.Spec.Paused = "web", paused
	for _, e := range edit {
		e(d)
	}
	return s.add(Event{Deployment: d})
}

// replicaSet stores the ReplicaSet of an image; its UID is the image.
func (s *story) replicaSet(image string) *story {
	d := builders.MakeDeployment("web").Image(image).Obj()
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Name: image, UID: types.UID(image), OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", UID: "web"}},
	}}
	rs.Spec.Template = d.Spec.Template
	metav1.SetMetaDataLabel(&rs.Spec.Template.ObjectMeta, appsv1.DefaultDeploymentUniqueLabelKey, image)
	return s.add(Event{ReplicaSet: rs})
}

func (s *story) pod(image, name string, available bool) *story {
	controller := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, UID: types.UID(name),
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", UID: types.UID(image), Controller: &controller}},
	}}
	if available {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return s.add(Event{Pod: p})
}

func (s *story) gone(name string) *story {
	return s.add(Event{Deleted: true, Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}})
}

// slice stores the EndpointSlice of a Service with these ready pods.
func (s *story) slice(pods ...string) *story {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Name: "front-1", UID: "front-1", Labels: map[string]string{discoveryv1.LabelServiceName: "front"},
	}}
	for _, pod := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", UID: types.UID(pod)},
		})
	}
	return s.add(Event{Slice: slice})
}

func (s *story) wishes(surge string) *story {
	return s.add(Event{Mark: &Mark{Workload: "web", Fact: Surge, Value: surge}})
}

// released says that a release is in this stage with maxSurge pinned to this many pods.
func released(stage canary.Stage, pinned int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		r := &canary.Release{ID: 2, Phase: canary.Promoting, Stage: stage, Surge: pinned}
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, canary.ReleaseAnnotation, r.Encode())
		if pinned > 0 {
			surges(strconv.Itoa(int(pinned)))(d)
		}
	}
}

func surges(value string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Strategy.RollingUpdate.MaxSurge = new(intstr.Parse(value)) }
}

// stable is web at v1 with two available pods.
func stable() *story {
	return new(story).deployment("v1", 2, false).replicaSet("v1").pod("v1", "a", true).pod("v1", "b", true)
}

func sluiceOwns(fields string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "sluice", FieldsV1: metav1.NewFieldsV1(fields)}}
	}
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		story *story
		steps string
		want  []string // rules
	}{
		"a held template with the pods of its step is in order": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true),
		},
		"one pod more than the step allows": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).pod("v2", "d", false),
			want:  []string{"ungated"},
		},
		"the pods of a template that nobody approved replace the stable ones": {
			story: stable().deployment("v2", 2, false).replicaSet("v2").pod("v2", "c", true).gone("a").pod("v2", "d", true).gone("b"),
			want:  []string{"ungated"},
		},
		"an approved template rolls out": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).mark(Approved).
				deployment("v2", 2, false).gone("a").pod("v2", "d", true).gone("b"),
		},
		"the approval of one version approves no other": {
			story: stable().deployment("v2", 2, true).mark(Approved).deployment("v3", 2, false).
				replicaSet("v3").pod("v3", "c", true).pod("v3", "d", true),
			want: []string{"ungated"},
		},
		"the first of two steps is approved": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).mark(Approved).pod("v2", "d", true),
			steps: "50%, 100%",
		},
		"the first of three steps is approved and the third begins": {
			story: new(story).deployment("v1", 4, false).replicaSet("v1").deployment("v2", 4, true).replicaSet("v2").
				pod("v2", "a", true).mark(Approved).pod("v2", "b", true).pod("v2", "c", true),
			steps: "25%, 50%, 100%",
			want:  []string{"ungated"},
		},
		"a timed step ends by itself": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).after(10*time.Second).
				deployment("v2", 2, true).pod("v2", "d", true),
			steps: "50%:10s, 100%",
		},
		"a timed step ends too early": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).pod("v2", "d", true),
			steps: "50%:10s, 100%",
			want:  []string{"ungated"},
		},
		"once promoted, the version before needs an approval again": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).mark(Approved).
				pod("v2", "d", true).deployment("v2", 2, false).gone("a").gone("b").
				deployment("v1", 2, true).pod("v1", "e", true).pod("v1", "f", true),
			want: []string{"ungated"},
		},
		"an announced exception rolls out": {
			story: stable().mark(Native).deployment("v2", 2, false).replicaSet("v2").pod("v2", "c", true).pod("v2", "d", true),
		},
		"a held template takes a stable pod away": {
			story: stable().deployment("v2", 2, true).replicaSet("v2").pod("v2", "c", true).gone("a"),
			want:  []string{"stable"},
		},
		"a rollout goes below N - maxUnavailable": {
			story: stable().deployment("v2", 2, true).mark(Approved).deployment("v2", 2, false).replicaSet("v2").
				pod("v2", "c", false).gone("a"),
			want: []string{"availability"},
		},
		"the test takes a pod away itself": {
			story: stable().deployment("v2", 2, true).mark(Disturbed).gone("a"),
		},
		"a greater N raises the floor once that many are available": {
			story: stable().deployment("v1", 3, false).gone("a").pod("v1", "c", true).pod("v1", "d", true).gone("c"),
			want:  []string{"availability"},
		},
		"a canary too many right after N fell": {
			story: new(story).deployment("v1", 10, false).replicaSet("v1").deployment("v2", 10, true).replicaSet("v2").
				pod("v2", "a", true).pod("v2", "b", true).deployment("v2", 3, true).gone("b"),
		},
		"a canary too many long after N fell": {
			story: new(story).deployment("v1", 10, false).replicaSet("v1").deployment("v2", 10, true).replicaSet("v2").
				pod("v2", "a", true).pod("v2", "b", true).deployment("v2", 3, true).after(Settle),
			want: []string{"ungated"},
		},
		"a service loses its last endpoint": {
			story: stable().slice("a", "b").slice("b").slice(),
			want:  []string{"endpoints"},
		},
		"a service that had endpoints before all pods were available has none again": {
			story: new(story).deployment("v1", 2, false).replicaSet("v1").pod("v1", "a", true).slice("a").slice().
				pod("v1", "b", true),
		},
		"the test takes the endpoints away itself": {
			story: stable().slice("a", "b").mark(Disturbed).slice(),
		},
		"the endpoints of a Deployment that is scaled to 0": {
			story: stable().slice("a", "b").deployment("v1", 0, false).gone("a").gone("b").slice(),
		},
		"a release gives back what it set": {
			story: stable().deployment("v1", 2, true, released(canary.Adopting, 2)).
				deployment("v1", 2, false, released(canary.Finishing, 0)).deployment("v1", 2, false),
		},
		"a release leaves the Deployment paused": {
			story: stable().deployment("v1", 2, true, released("", 0)).deployment("v1", 2, true),
			want:  []string{"restored"},
		},
		"a release does not give the user's own pause back": {
			story: stable().deployment("v1", 2, true).deployment("v1", 2, true, released("", 0)).deployment("v1", 2, false),
			want:  []string{"restored"},
		},
		"the user unpauses during a release": {
			story: stable().deployment("v1", 2, true).deployment("v1", 2, true, released("", 0)).mark(Unpaused).
				deployment("v1", 2, false),
		},
		"the user pauses while the native rollout goes on": {
			story: stable().deployment("v1", 2, false, released(canary.Finishing, 0)).
				deployment("v1", 2, true, released(canary.Finishing, 0)).deployment("v1", 2, true),
		},
		"a release leaves maxSurge as it was pinned": {
			story: stable().deployment("v1", 2, true, released(canary.Adopting, 2)).
				deployment("v1", 2, false, surges("2"), released(canary.Finishing, 0)),
			want: []string{"restored"},
		},
		"a maxSurge that the user states while another is pinned is in force afterwards": {
			story: stable().deployment("v1", 2, true, released(canary.Adopting, 2)).wishes("50%").
				deployment("v1", 2, false, surges("50%")),
		},
		"sluice owns its annotation": {
			story: stable().deployment("v1", 2, false, sluiceOwns(`{"f:metadata":{"f:annotations":{}}}`)),
		},
		"sluice owns its conditions": {
			story: stable().deployment("v1", 2, false, sluiceOwns(`{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Stalled\"}":{".":{}}}}}`)),
		},
		"sluice owns another's condition": {
			story: stable().deployment("v1", 2, false, sluiceOwns(`{"f:status":{"f:conditions":{"k:{\"type\":\"Available\"}":{}}}}`)),
			want:  []string{"ownership"},
		},
		"sluice owns another field of the status": {
			story: stable().deployment("v1", 2, false, sluiceOwns(`{"f:status":{"f:conditions":{},"f:replicas":{}}}`)),
			want:  []string{"ownership"},
		},
		"sluice owns a field of the spec": {
			story: stable().deployment("v1", 2, false, sluiceOwns(`{"f:metadata":{},"f:spec":{"f:paused":{}}}`)),
			want:  []string{"ownership"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var rules []string
			for _, v := range Judge(test.story.events, test.steps, test.story.now) {
				rules = append(rules, v.Rule)
			}
			require.Equal(t, test.want, slices.Compact(rules), History(test.story.events))
		})
	}
}
