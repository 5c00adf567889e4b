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
	Revision   int64     // resourceVersion
	At         time.Time // when it was received
	Deleted    bool
	Deployment *appsv1.Deployment
	ReplicaSet *appsv1.ReplicaSet
	Pod        *corev1.Pod
	Slice      *discoveryv1.EndpointSlice
	Mark       *Mark
}

func (e Event) object() metav1.Object {
	switch {
	case e.Deployment != nil:
		return e.Deployment
	case e.ReplicaSet != nil:
		return e.ReplicaSet
	case e.Slice != nil:
		return e.Slice
	default:
		return e.Pod
	}
}

// Fact is what a test may tell the judge.
type Fact string

const (
	// Approved: the test is about to approve the current step of the Deployment.
	Approved Fact = "approved"
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
)

// Mark is a fact about a Deployment that holds for whatever is stored after its Event's Revision.
type Mark struct {
	Deployment string
	Fact       Fact
	Value      string // of Surge
}

// Violation is a rule that did not hold right after the write with this revision.
type Violation struct {
	Revision int64
	Rule     string
	Message  string
}
