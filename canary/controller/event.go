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

func (r *reconciler) backOff(s *snapshot) {
	r.record(s, &canary.Event{Warning: true, Reason: reasonBackingOff,
		Message: "this release took more than 100 writes, so somebody keeps undoing them; sluice now makes one every 10s. " +
			"Look for another controller that changes this Deployment or its ReplicaSets"})
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
