package eject

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// fate is what becomes of a ReplicaSet that a release marked.
type fate string

const (
	// spare: it is none of ours, or on its way out.
	spare fate = "spare"
	// unmark: it is the Deployment's, or was before that was deleted without its ReplicaSets.
	unmark fate = "unmark"
	// drop: it is a canary that no release needs.
	drop fate = "delete"
	// await: the deployment controller is about to let go of it.
	await fate = "await"
	// cover: its pods stand in for those that the Deployment misses.
	cover fate = "cover"
)

// owner is the Deployment of a ReplicaSet; the zero value: it is gone.
type owner struct {
	uid      types.UID
	selector labels.Selector
	active   bool // it has a release, or is being deleted with what belongs to it
	// available pods of its own, and how many there have to be.
	available, floor int32
}

// fateOf follows the rule of package controller's sweep: what a Deployment has or may have stays with it.
// With a Deployment there, its own pods come first.
func fateOf(rs *appsv1.ReplicaSet, o owner) fate {
	controller := metav1.GetControllerOfNoCopy(rs)
	switch {
	case rs.DeletionTimestamp != nil:
		return spare
	case o.uid == "" && (controller != nil || len(withoutMarks(rs.Labels)) > 0):
		return unmark
	case o.uid == "":
		return drop
	case o.active, controller != nil && controller.UID != o.uid:
		return spare
	case o.selector.Matches(labels.Set(rs.Labels)):
		return unmark
	case controller != nil:
		return await
	case rs.Status.AvailableReplicas > 0 && o.available < o.floor:
		return cover
	}
	return drop
}

// marks are the labels that sluice puts on what it makes.
var marks = []string{canary.WorkloadLabel, canary.ReleaseLabel, canary.PhaseLabel, canary.StepLabel, canary.WeightLabel}

// withoutMarks returns a copy of the labels without sluice's.
func withoutMarks(all map[string]string) map[string]string {
	rest := map[string]string{}
	for key, value := range all {
		rest[key] = value
	}
	for _, key := range marks {
		delete(rest, key)
	}
	return rest
}

// ownerName returns the name of the Deployment that an object refers to, empty where there is none.
func ownerName(object metav1.Object) string {
	for _, ref := range object.GetOwnerReferences() {
		if ref.APIVersion == appsv1.SchemeGroupVersion.String() && ref.Kind == canary.Deployment {
			return ref.Name
		}
	}
	return ""
}
