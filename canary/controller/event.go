package controller

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sluice.dev/sluice/canary"
)

// Reasons of the Events that the controller adds to those of canary.Next.
const (
	reasonRefused    = "ReleaseBlocked"
	reasonBackingOff = "BackingOff"
	reasonLost       = "ReleaseLost"
)

// maxNote is what the Events API accepts, in bytes.
const maxNote = 1024

// blocked is why sluice cannot make a write that the release needs; somebody has to act.
type blocked struct{ message string }

func (e *blocked) Error() string { return e.message }

// record writes the Event that goes with a move.
func (r *reconciler) record(s *snapshot, event *canary.Event) {
	if event == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if event.Warning {
		kind = corev1.EventTypeWarning
	}
	r.recorder.Eventf(s.workload.object, nil, kind, event.Reason, event.Reason, "%s", trim(event.Message, maxNote))
}

// refused tells people about a failure that does not pass by itself, and returns whether it is one.
func (r *reconciler) refused(s *snapshot, err error) bool {
	var b *blocked
	if !errors.As(err, &b) && !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return false
	}
	r.record(s, &canary.Event{Warning: true, Reason: reasonRefused, Message: err.Error()})
	return true
}

// lost tells that a release is gone although its state is there: the label that goes with it was taken
// off where admission did not stand, and without it the state could be anybody's.
func (r *reconciler) lost(s *snapshot) {
	if s.workload == nil || s.workload.object.GetAnnotations()[canary.ReleaseAnnotation] == "" {
		return
	}
	r.record(s, &canary.Event{Warning: true, Reason: reasonLost, Message: "the label " + canary.ActiveLabel +
		" was removed while sluice's webhook was away, so the release is not continued and its canary is deleted; " +
		"the workload stays as it was held: apply the old version, or let the new one go on with kubectl rollout resume, or by the partition"})
}

func (r *reconciler) backOff(s *snapshot) {
	r.record(s, &canary.Event{Warning: true, Reason: reasonBackingOff,
		Message: "this release took more than 100 writes, so somebody keeps undoing them; sluice now makes one every 10s. " +
			"Look for another controller that changes this workload, its ReplicaSets or its pods"})
}

// trim makes one line of a text and cuts it to at most n bytes.
func trim(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= n {
		return text
	}
	const dots = "..."
	return strings.ToValidUTF8(text[:n-len(dots)], "") + dots
}
