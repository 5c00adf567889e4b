package webhook

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/webhook/ownership"
)

const (
	reasonForced = "ForcedConflicts"
	reporter     = "sluice"
	maxNote      = 1024 // of an Event, in bytes; the API server refuses more
)

// recorder makes an Event of each write that took fields by force. It writes before the answer, so that none
// is forgotten: a write that fails afterwards leaves an Event of what was tried. Reporting twice is one Event:
// its name says which version of the object, who and what.
type recorder struct {
	creator Creator
	now     func() time.Time
}

// forced blocks nobody: a failure is logged, and the audit annotation stands.
func (r *recorder) forced(ctx context.Context, req *request, d ownership.Decision) {
	var stored struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(req.OldObject, &stored); err != nil {
		return // the comparison has decoded it
	}
	namespace := cmp.Or(req.Namespace, metav1.NamespaceDefault)
	text := req.UserInfo.Username + " " + d.Record()
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: eventName(req, stored.Metadata.ResourceVersion, text)},
		EventTime:  metav1.NewMicroTime(r.now()), Type: corev1.EventTypeNormal, Reason: reasonForced, Action: reasonForced,
		ReportingController: reporter, ReportingInstance: reporter, Regarding: d.Object,
		Note: note(text),
	}
	if err := r.creator.Create(ctx, event); err != nil && !apierrors.IsAlreadyExists(err) {
		log.FromContext(ctx).Error(err, "recording a forced write failed", "object", req.subject(), "user", req.UserInfo.Username, "note", event.Note)
	}
}

// eventName begins with the object's name where an Event may be called so.
func eventName(req *request, version, text string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{req.groupResource(), req.Name, version, text}, "\x00")))
	name := fmt.Sprintf("%s.%x", req.Name, sum[:8])
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Sprintf("forced.%x", sum[:8])
	}
	return name
}

func note(text string) string {
	const dots = "..."
	if len(text) <= maxNote {
		return text
	}
	return strings.ToValidUTF8(text[:maxNote-len(dots)], "") + dots
}
