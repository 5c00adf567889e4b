package watch

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Event is one version of one object, or a mark of the test's. Exactly one of the objects is set.
type Event struct {
	Revision           int64     // resourceVersion
	At                 time.Time // when it was received
	Deleted            bool
	Deployment         *appsv1.Deployment
	ReplicaSet         *appsv1.ReplicaSet
	StatefulSet        *appsv1.StatefulSet
	ControllerRevision *appsv1.ControllerRevision
	Pod                *corev1.Pod
	Slice              *discoveryv1.EndpointSlice
	Mark               *Mark
}

func (e Event) object() metav1.Object {
	switch {
	case e.Deployment != nil:
		return e.Deployment
	case e.ReplicaSet != nil:
		return e.ReplicaSet
	case e.StatefulSet != nil:
		return e.StatefulSet
	case e.ControllerRevision != nil:
		return e.ControllerRevision
	case e.Slice != nil:
		return e.Slice
	default:
		return e.Pod
	}
}

// Fact is what a test may tell the judge.
type Fact string

const (
	// Approved: the test is about to approve the current step of the workload.
	Approved Fact = "approved"
	// ApprovedFull: the test is about to approve the current step and all after it.
	ApprovedFull Fact = "approved in full"
	// Retried: the test is about to start the aborted release again, so that no step is approved.
	Retried Fact = "retried"
	// Native: the next template is one of the exceptions that roll out without a canary.
	Native Fact = "native"
	// Disturbed: from now on the test takes pods away itself, so that availability proves nothing.
	Disturbed Fact = "disturbed"
	// Restored: the disturbance is over; the floors hold again once N pods are available.
	Restored Fact = "restored"
	// Paused, Unpaused: the test is about to state spec.paused during a release, as its own wish.
	Paused   Fact = "paused"
	Unpaused Fact = "unpaused"
	// Surge: the test is about to state maxSurge during a release; Value says which.
	Surge Fact = "surge"
	// Partition: the test is about to state the partition during a release; Value says which.
	Partition Fact = "partition"
	// Rushed: the test is about to scale up through /scale, which admission does not see, while the partition
	// may be open: what is added may be of the new version until it is taken back.
	Rushed Fact = "rushed"
)

// Mark is a fact about a workload that holds for whatever is stored after its Event's Revision.
type Mark struct {
	Workload string
	Fact     Fact
	Value    string // of Surge and Partition
}

// Violation is a rule that did not hold right after the write with this revision.
type Violation struct {
	Revision int64
	Rule     string
	Message  string
}
