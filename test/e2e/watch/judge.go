package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Settle is how long the limit from before a change of N still counts.
const Settle = 10 * time.Second

// Judge replays events in the order of their revisions and returns every violation. defaultSteps is what
// the Namespace's policy says, empty where it says nothing; now is when the last event is judged again.
func Judge(events []Event, defaultSteps string, now time.Time) []Violation {
	ordered := slices.Clone(events)
	slices.SortStableFunc(ordered, byRevision)
	j := &judge{
		defaultSteps: defaultSteps,
		workloads:    map[types.UID]*workload{},
		owners:       map[types.UID]types.UID{},
		templates:    map[types.UID]string{},
		revisions:    map[string]string{},
		pods:         map[types.UID]pod{},
		services:     map[string]*service{},
		orphans:      map[string]map[string]bool{},
	}
	last := Event{}
	for _, e := range ordered {
		j.observe(e)
		j.check(e)
		last = e
	}
	last.At = now
	j.check(last)
	return j.violations
}

// byRevision sorts a mark after the object of the same revision, which was stored before it was made.
func byRevision(a, b Event) int {
	if a.Revision == b.Revision && (a.Mark == nil) != (b.Mark == nil) {
		if a.Mark != nil {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.Revision, b.Revision)
}

type judge struct {
	defaultSteps string
	workloads    map[types.UID]*workload
	owners       map[types.UID]types.UID // ReplicaSet -> Deployment
	templates    map[types.UID]string    // ReplicaSet -> key of its template
	revisions    map[string]string       // name of a ControllerRevision -> key of its template
	pods         map[types.UID]pod
	services     map[string]*service
	orphans      map[string]map[string]bool // templates that were trusted when a workload was deleted, by its kind and name
	violations   []Violation
}

// pod is a pod that exists and is not being deleted.
type pod struct {
	name       string
	controller types.UID // a ReplicaSet or a StatefulSet
	revision   string    // of a StatefulSet's pod
	available  bool
}

// workload returns whose pod it is, and the key of its template.
func (j *judge) workload(p pod) (uid types.UID, key string) {
	if p.revision != "" {
		return p.controller, j.revisions[p.revision]
	}
	return j.owners[p.controller], j.templates[p.controller]
}

func (j *judge) observe(e Event) {
	switch {
	case e.Mark != nil:
		for _, w := range j.workloads {
			if w.current.name == e.Mark.Workload {
				w.mark(*e.Mark)
			}
		}
	case e.Deployment != nil:
		j.observeWorkload(e, deploymentVersion(e.Deployment))
	case e.StatefulSet != nil:
		j.observeWorkload(e, setVersion(e.StatefulSet))
	case e.ControllerRevision != nil:
		j.revisions[e.ControllerRevision.Name] = revisionKey(e.ControllerRevision) // remembered like a ReplicaSet's
	case e.ReplicaSet != nil:
		// Both are remembered for good: a ReplicaSet that is released or deleted still has pods.
		j.templates[e.ReplicaSet.UID] = templateKey(e.ReplicaSet.Spec.Template)
		for _, ref := range e.ReplicaSet.OwnerReferences {
			if ref.Kind == "Deployment" {
				j.owners[e.ReplicaSet.UID] = ref.UID
			}
		}
	case e.Pod != nil:
		j.observePod(e)
	case e.Slice != nil:
		j.observeSlice(e)
	}
}

func (j *judge) observeWorkload(e Event, v version) {
	uid := e.object().GetUID()
	w := j.workloads[uid]
	switch {
	case e.Deleted || e.object().GetDeletionTimestamp() != nil:
		if w != nil {
			j.orphans[w.String()] = w.trusted
			delete(j.workloads, uid)
		}
		return
	case w == nil:
		w = newWorkload(v)
		maps.Copy(w.trusted, j.orphans[w.String()]) // it takes in the pods that the one before left
		j.workloads[uid] = w
	default:
		if wrong := w.wish.follow(w.current, v); wrong != "" {
			j.violate(e, "restored", "%s: %s", w, wrong)
		}
		w.update(v, j.defaultSteps, e.At)
	}
	for _, field := range foreignFields(v.managed) {
		j.violate(e, "ownership", "%s: %s", w, field)
	}
}

func (j *judge) observePod(e Event) {
	owner := metav1.GetControllerOf(e.Pod)
	if e.Deleted || e.Pod.DeletionTimestamp != nil || owner == nil ||
		e.Pod.Status.Phase == corev1.PodFailed || e.Pod.Status.Phase == corev1.PodSucceeded {
		delete(j.pods, e.Pod.UID)
		return
	}
	j.pods[e.Pod.UID] = pod{
		name: e.Pod.Name, controller: owner.UID, revision: e.Pod.Labels[appsv1.StatefulSetRevisionLabel], available: ready(e.Pod),
	}
}

func (j *judge) check(e Event) {
	for uid, w := range j.workloads {
		counts := j.count(uid)
		w.settle(counts, e.At)
		for _, v := range w.judge(counts, e.At) {
			j.violate(e, v.Rule, "%s: %s; pods: %s", w, v.Message, j.describe(uid))
		}
	}
	j.checkServices(e)
}

// count returns the pods of a workload by the key of their template.
func (j *judge) count(workload types.UID) map[string]tally {
	counts := map[string]tally{}
	for _, p := range j.pods {
		uid, key := j.workload(p)
		if uid != workload {
			continue
		}
		t := counts[key]
		t.pods++
		if p.available {
			t.available++
		}
		counts[key] = t
	}
	return counts
}

// violate records a violation, once for as long as it stays the same.
func (j *judge) violate(e Event, rule, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	for _, v := range j.violations {
		if v.Rule == rule && v.Message == message {
			return
		}
	}
	j.violations = append(j.violations, Violation{Revision: e.Revision, Rule: rule, Message: message})
}

func (j *judge) describe(workload types.UID) string {
	var pods []string
	for _, p := range j.pods {
		uid, key := j.workload(p)
		if uid != workload {
			continue
		}
		state := "unavailable"
		if p.available {
			state = "available"
		}
		pods = append(pods, fmt.Sprintf("%s (template %s, %s)", p.name, key, state))
	}
	slices.Sort(pods)
	return strings.Join(pods, ", ")
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
