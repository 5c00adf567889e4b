package canary

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kjson "sigs.k8s.io/json"
)

// Reasons of a Deployment's condition Progressing that prove that its first rollout is not over.
// Others, and no condition at all, prove nothing. Source: k8s.io/kubernetes pkg/controller/deployment.
var startingReasons = map[string]bool{
	"NewReplicaSetCreated":     true,
	"ReplicaSetUpdated":        true,
	"FoundNewReplicaSet":       true,
	"ReplicaSetCreateError":    true,
	"ProgressDeadlineExceeded": true,
}

// Holds tells whether a new version of a stored workload, of a Namespace that has opted in, is held: what
// Decide says to an update that leaves everything else as it is. The error says that the policy is not
// valid, with which Decide refuses it.
func Holds(kind string, w *Workload, namespace map[string]string) (bool, error) {
	s, err := settings(namespace, w)
	if err != nil {
		return false, err
	}
	c, err := classify(Review{Operation: Update, Kind: kind, Old: w, New: w})
	switch {
	case err != nil:
		return false, err
	case c.release != nil:
		return !c.disabled(s, World{}), nil
	}
	return c.native(s, World{}) == "", nil
}

// native returns why a new template is not held, judged on the old object; empty where it is held.
func (c change) native(s Settings, w World) Reason {
	old := c.Old
	switch {
	case !Holdable(c.Kind):
		return NotHeld
	case c.disabled(s, w):
		return Disabled
	case old.Replicas() == 0:
		return NoReplicas
	case old.strategy(c.Kind).Type == "Recreate":
		return Recreates
	case old.strategy(c.Kind).Type == onDelete:
		return OnDelete
	case c.neverAvailable():
		return NeverAvailable
	case c.Kind == Deployment && selectsMarks(old):
		return SelectsMarks
	}
	return ""
}

// disabled: the policy, an opt-out label of the workload, or a Namespace that opted out.
func (c change) disabled(s Settings, w World) bool {
	return s.Disabled || w.OptedOut || c.Old.Metadata.Labels[EnabledLabel] == "false"
}

// neverAvailable tells whether it is certain that no pod of the workload has ever been available. In
// doubt it is not: an outage must not open the gate.
func (c change) neverAvailable() bool {
	w := c.Old
	switch {
	case w.Status.AvailableReplicas > 0:
		return false
	case w.Status.ObservedGeneration == 0:
		return true
	}
	// The status of a StatefulSet has no conditions, and proves nothing more.
	for _, condition := range w.Status.Conditions {
		if condition.Type == "Progressing" {
			return startingReasons[condition.Reason]
		}
	}
	return false
}

// selectsMarks tells whether the workload's selector matches labels that have nothing of the workload
// but sluice's marks, as one made of NotIn and DoesNotExist only does: the canary ReplicaSet would be
// adopted at once.
func selectsMarks(w *Workload) bool {
	var selector metav1.LabelSelector
	if err := kjson.UnmarshalCaseSensitivePreserveInts(w.Spec.Selector, &selector); err != nil {
		return true // a selector that we cannot judge
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return true
	}
	return s.Matches(labels.Set(MarkLabels(w.Metadata.Name, &Release{ID: 1}, Marks{Phase: Progressing, Step: "1", Weight: "1"})))
}

// MarkLabels returns the labels of a canary ReplicaSet: all of them sluice's, so that a Deployment's
// selector does not match.
func MarkLabels(workload string, r *Release, m Marks) map[string]string {
	return map[string]string{
		WorkloadLabel: WorkloadLabelValue(workload),
		ReleaseLabel:  r.Name(),
		PhaseLabel:    string(m.Phase),
		StepLabel:     m.Step,
		WeightLabel:   m.Weight,
	}
}
