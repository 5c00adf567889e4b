package watch

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
	Mark       *Mark
}

func (e Event) object() metav1.Object {
	switch {
	case e.Deployment != nil:
		return e.Deployment
	case e.ReplicaSet != nil:
		return e.ReplicaSet
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
)

// Mark is a fact about a Deployment that holds for whatever is stored after its Event's Revision.
type Mark struct {
	Deployment string
	Fact       Fact
}

// Violation is a rule that did not hold right after the write with this revision.
type Violation struct {
	Revision int64
	Rule     string
	Message  string
}
