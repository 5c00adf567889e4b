package watch

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
)

const closed = 2147483647

// set stores the StatefulSet web with this image, replicas and partition, and the revision of its template.
// Where the partition is closed, a release holds it.
func (s *story) set(image string, n, partition int32, edit ...func(*appsv1.StatefulSet)) *story {
	set := builders.MakeStatefulSet("web").Image(image).Replicas(n).Partition(partition).Obj()
	set.UID = s.uid()
	if partition == closed {
		setReleased("")(set)
	}
	for _, e := range edit {
		e(set)
	}
	data := `{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"web"}},"spec":{"containers":[{"name":"app","image":"` + image + `","resources":{}}]}}}}`
	return s.add(Event{StatefulSet: set}).add(Event{ControllerRevision: &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Name: image, UID: types.UID("revision-" + image)}, Data: runtime.RawExtension{Raw: []byte(data)},
	}})
}

// member stores a pod of web; made anew, it has another UID.
func (s *story) member(image, name string, available bool) *story {
	s.pod(string(s.uid()), name, available)
	pod := s.events[len(s.events)-1].Pod
	pod.OwnerReferences[0].Kind = "StatefulSet"
	pod.Labels = map[string]string{appsv1.StatefulSetRevisionLabel: image}
	return s
}

// replaced deletes a pod and stores the one that the StatefulSet makes in its place, which is available.
func (s *story) replaced(name, image string) *story {
	return s.gone(name).member(image, name, true)
}

// members is the StatefulSet web at v1 with this many available pods, "0" to n-1.
func members(n int, edit ...func(*appsv1.StatefulSet)) *story {
	s := new(story).set("v1", int32(n), 0, edit...)
	for i := range n {
		s.member("v1", strconv.Itoa(i), true)
	}
	return s
}

func (s *story) uid() types.UID {
	if s.remade {
		return "web again"
	}
	return "web"
}

// removed deletes the StatefulSet and leaves its pods.
func (s *story) removed() *story {
	s.add(Event{Deleted: true, StatefulSet: &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "web"}}})
	s.remade = true
	return s
}

func (s *story) states(f Fact, value string) *story {
	return s.add(Event{Mark: &Mark{Workload: "web", Fact: f, Value: value}})
}

// setReleased says that a release is in this stage.
func setReleased(stage canary.Stage) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		r := &canary.Release{ID: 2, Phase: canary.Promoting, Stage: stage}
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, canary.ReleaseAnnotation, r.Encode())
	}
}

func ended(s *appsv1.StatefulSet) { delete(s.Annotations, canary.ReleaseAnnotation) }

func unavailable(n int) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt(n))
	}
}

func TestJudgeOfStatefulSets(t *testing.T) {
	tests := map[string]struct {
		story *story
		steps string
		want  []string // rules
	}{
		"a canary pod replaces a stable one": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2"),
		},
		"the hold is lifted and the next pod is replaced": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").set("v2", 4, 0).replaced("2", "v2"),
			want:  []string{"ungated", "stable"},
		},
		"one canary pod more than the step allows, not available yet": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").gone("2").member("v2", "2", false),
			want:  []string{"stable", "ungated"},
		},
		"an approved template replaces them one by one": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").mark(Approved).set("v2", 4, 0).
				replaced("2", "v2").replaced("1", "v2").replaced("0", "v2"),
		},
		"one of two steps is approved and every pod is replaced": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").mark(Approved).set("v2", 4, 0).
				replaced("2", "v2").replaced("1", "v2"),
			steps: "25%, 50%",
			want:  []string{"ungated", "stable"},
		},
		"all steps are approved at once": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").mark(ApprovedFull).set("v2", 4, 0).
				replaced("2", "v2").replaced("1", "v2").replaced("0", "v2"),
			steps: "25%, 50%",
		},
		"the last stable pod is replaced": {
			story: members(2).set("v2", 2, closed).replaced("1", "v2").replaced("0", "v2"),
			steps: "100%",
			want:  []string{"ungated", "stable"},
		},
		"the only pod is replaced": {
			story: members(1).set("v2", 1, closed).replaced("0", "v2"),
			want:  []string{"ungated"},
		},
		"a pod below the user's own partition is replaced": {
			story: new(story).set("v1", 2, 1).member("v1", "0", true).member("v1", "1", true).
				set("v2", 2, closed).replaced("1", "v2").replaced("0", "v2"),
			steps: "100%",
			want:  []string{"ungated", "stable"},
		},
		"two pods are missing at once": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").mark(Approved).set("v2", 4, 0).gone("2").gone("1"),
			want:  []string{"availability"},
		},
		"two pods are missing at once as the user's maxUnavailable says": {
			story: members(4, unavailable(2)).set("v2", 4, closed, unavailable(2)).replaced("3", "v2").mark(Approved).
				set("v2", 4, 0, unavailable(2)).gone("2").gone("1"),
		},
		"canary pods are taken back one by one": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").replaced("2", "v2").
				set("v2", 4, closed).replaced("3", "v1").replaced("2", "v1"),
			steps: "50%",
		},
		"canary pods are taken back at once": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").replaced("2", "v2").gone("3").gone("2"),
			steps: "50%",
			want:  []string{"availability"},
		},
		"a superseded canary goes before the next one comes": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").set("v3", 4, closed).replaced("3", "v1").replaced("3", "v3"),
		},
		"a superseded canary stays beside the next one": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").set("v3", 4, closed).replaced("2", "v3"),
			want:  []string{"ungated", "stable"},
		},
		"a scale-up makes stable pods": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").set("v2", 5, closed).member("v1", "4", true),
		},
		"a scale-up makes pods of the new version": {
			story: members(4).set("v2", 4, closed).replaced("3", "v2").set("v2", 6, closed).member("v2", "4", true).member("v2", "5", true),
			want:  []string{"ungated", "stable"},
		},
		"a scale-up while the partition is open, as the test says": {
			story: members(4).set("v2", 4, 3, setReleased("")).mark(Rushed).set("v2", 6, 3, setReleased("")).member("v2", "4", true).member("v2", "5", true).
				replaced("5", "v1"),
		},
		"a scale-up while the partition is open and nobody takes its pods back": {
			story: members(4).set("v2", 4, 3, setReleased("")).replaced("3", "v2").mark(Rushed).set("v2", 6, 3, setReleased("")).
				member("v2", "4", true).member("v2", "5", true).after(Settle),
			want: []string{"ungated", "stable"},
		},
		"a release gives the user's own partition back": {
			story: new(story).set("v1", 2, 1).set("v2", 2, closed).set("v2", 2, 1, setReleased(canary.Finishing)).set("v2", 2, 1),
		},
		"a release leaves the partition closed": {
			story: members(2).set("v1", 2, closed).set("v1", 2, closed, ended),
			want:  []string{"restored"},
		},
		"a promotion opens less than the user wants": {
			story: members(2).set("v1", 2, closed).set("v1", 2, 1, setReleased(canary.Finishing)),
			want:  []string{"restored"},
		},
		"a partition that the user states while it is held is in force afterwards": {
			story: members(2).set("v1", 2, closed).states(Partition, "1").set("v1", 2, 1),
		},
		"a partition that the user states while it is promoted is in force afterwards": {
			story: members(2).set("v1", 2, 0, setReleased(canary.Finishing)).set("v1", 2, 1, setReleased(canary.Finishing)).set("v1", 2, 1),
		},
		"sluice owns the partition": {
			story: members(2, func(s *appsv1.StatefulSet) {
				s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "sluice", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:updateStrategy":{}}}`)}}
			}),
			want: []string{"ownership"},
		},
		"a service loses its last endpoint": {
			story: members(4).slice("0", "1").slice(),
			want:  []string{"endpoints"},
		},
		"a service of two pods loses its last endpoint while one is replaced": {
			story: members(2).slice("0", "1").slice(),
		},
		"a set that is made again takes in the pods that were left": {
			story: members(2).removed().set("v2", 2, 0).member("v1", "0", true).member("v1", "1", true).
				replaced("1", "v2").replaced("0", "v2"),
		},
		"a pod that failed is not there": {
			story: members(2).mark(Disturbed).set("v2", 2, closed).gone("1").member("v2", "1", false).
				add(Event{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "1", UID: "1"}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var rules []string
			for _, v := range Judge(test.story.events, test.steps, test.story.now) {
				rules = append(rules, v.Rule)
			}
			slices.Sort(rules)
			slices.Sort(test.want)
			require.Equal(t, test.want, slices.Compact(rules), History(test.story.events))
		})
	}
}
