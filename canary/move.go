package canary

import "time"

// Write is one write of the controller. Exactly one of its fields is set. Every write is guarded by the
// resourceVersion or the UID that was observed.
type Write struct {
	// SetRelease writes the state; admission turns it into spec fields in the same request.
	SetRelease *Release
	// EndRelease removes the state; admission gives the user's own fields back.
	EndRelease bool
	// SetCondition makes this the one condition of sluice's in the workload's status, and ClearConditions
	// takes them off; those of others stay.
	SetCondition    *Condition
	ClearConditions bool
	// DeletePod deletes a pod of a StatefulSet, which its controller then makes anew.
	DeletePod *Pod
	// RecordStable creates the ControllerRevision with the stable ReplicaSet's template.
	RecordStable *ReplicaSet
	// SelectPods makes one Service of sluice's select the version that it is for.
	SelectPods bool
	// Steer makes one route divide requests as it says.
	Steer *Steering
	// CreateCanary creates the canary ReplicaSet.
	CreateCanary *CanarySpec
	// UpdateReplicaSet sets pods and marks of a ReplicaSet.
	UpdateReplicaSet *ReplicaSetUpdate
	// Adopt gives a canary ReplicaSet the Deployment's labels and the size annotations that keep the
	// deployment controller from resizing, guarded by the resourceVersion that was observed.
	Adopt *Adoption
	// Disown takes the Deployment's labels off a ReplicaSet, so that the Deployment releases it.
	Disown *ReplicaSet
	// Reference adds the non-controller owner reference again, for garbage collection.
	Reference *ReplicaSet
	// Unmark removes sluice's labels from a ReplicaSet that is the Deployment's own now.
	Unmark *ReplicaSet
	// DeleteReplicaSet deletes a canary ReplicaSet and its pods.
	DeleteReplicaSet *ReplicaSet
	// RestoreStable creates the stable ReplicaSet again from its ControllerRevision, with this many pods.
	RestoreStable *int32
	// ForgetStable deletes the ControllerRevisions of the workload.
	ForgetStable bool
}

// Tells returns whether the write changes conditions, and nothing that the release depends on.
func (w *Write) Tells() bool { return w.SetCondition != nil || w.ClearConditions }

// Steering is where requests are to go; a Share of nil is the Services themselves.
type Steering struct{ Share *Share }

// Divides returns whether the write is one of those that divide requests.
func (w *Write) Divides() bool { return w.SelectPods || w.Steer != nil }

// CanarySpec is the canary ReplicaSet to create; template and selector are the Deployment's.
type CanarySpec struct {
	Hash            string // pod-template-hash, and the end of the name
	Replicas        int32
	MinReadySeconds int32
	Marks           Marks
}

// ReplicaSetUpdate sets fields of a ReplicaSet, guarded by its resourceVersion.
type ReplicaSetUpdate struct {
	ReplicaSet      ReplicaSet
	Replicas        int32
	MinReadySeconds int32
	Marks           Marks // zero: as they are
}

// Adoption hands a canary ReplicaSet to the Deployment.
type Adoption struct {
	ReplicaSet ReplicaSet
	// DesiredReplicas and MaxReplicas are the deployment controller's size annotations.
	DesiredReplicas, MaxReplicas int32
	// Marks tell, also after it was taken back, that the ReplicaSet was adopted.
	Marks Marks
}

// Event is a Kubernetes Event on the workload that goes with a step.
type Event struct {
	Warning bool
	Reason  string // CamelCase
	Message string
}

// Move is the next move of a release: at most one write, then observe again.
type Move struct {
	Write *Write // nil: nothing to write now
	Event *Event // recorded once the write succeeded
	// Wait is when to look again if nothing happens before; 0: when something changes.
	Wait time.Duration
	// awaits says what is waited for, and since when where somebody wrote that down.
	awaits string
	since  time.Time
}
