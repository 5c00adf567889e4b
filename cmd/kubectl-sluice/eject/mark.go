package eject

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

// markings are the values of the phase label from the write that ends a release to the last one. They say
// how it ended, for a run that goes on after a crash; sluice itself leaves "Promoted" or "Reverted".
var markings = map[canary.Ending]canary.Phase{
	canary.EndPromoted: canary.Promoting,
	canary.EndReverted: canary.Reverting,
	canary.EndPaused:   canary.Aborted,
}

// markOf returns the mark of a workload that somebody began to eject, empty where nobody did.
func markOf(object *unstructured.Unstructured) canary.Phase {
	if !isEnded(object) {
		return ""
	}
	return phaseOf(object)
}

// phaseOf returns the phase that the label says, empty where it says none.
func phaseOf(object *unstructured.Unstructured) canary.Phase {
	phase := canary.Phase(object.GetLabels()[canary.PhaseLabel])
	if !(&canary.Release{Phase: phase}).Known() {
		return ""
	}
	return phase
}

// marking returns the mark of an item whose release is about to end. Where its state cannot be read, the
// label alone says how far it was.
func (i *Item) marking(object *unstructured.Unstructured) *string {
	phase := string(cmp.Or(markings[i.Ending], phaseOf(object), canary.Aborted))
	return &phase
}

// unmarked returns the object without the phase label and without this program in managedFields, nil where
// there is neither.
func unmarked(object *unstructured.Unstructured) *unstructured.Unstructured {
	after := disowned(object)
	if _, told := object.GetLabels()[canary.PhaseLabel]; !told || !isEnded(object) {
		return after
	}
	if after == nil {
		after = object.DeepCopy()
	}
	after.SetLabels(with(after.GetLabels(), map[string]*string{canary.PhaseLabel: nil}))
	return after
}
