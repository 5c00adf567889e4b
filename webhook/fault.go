package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fault is a call that got no decision.
type fault struct {
	code    int
	reason  metav1.StatusReason
	label   string // of the metric, one of a few
	message string
	cause   error
}

func (f *fault) Error() string { return f.message }

func (f *fault) Unwrap() error { return f.cause }

// Labels of faults that are the caller's.
const (
	faultBody      = "body"      // empty, cut off or too slow
	faultTooLarge  = "too_large" // more than maxBody
	faultTransport = "transport" // method, content type or client certificate
	faultJSON      = "json"      // not JSON, not UTF-8, nested too deep
	faultReview    = "review"    // JSON, but not a review that can be decided
)

func badRequest(label, format string, args ...any) *fault {
	return &fault{
		code: http.StatusBadRequest, reason: metav1.StatusReasonBadRequest, label: label,
		message: fmt.Sprintf(format, args...),
	}
}

// undecided is our own failure: what could not be read or understood, and that nothing has changed.
func undecided(subject string, err error) *fault {
	return &fault{
		code: http.StatusInternalServerError, reason: metav1.StatusReasonInternalError, cause: err,
		message: fmt.Sprintf("sluice could not decide on %s: %v; nothing was changed, try again", subject, err),
	}
}

// write answers with a Status, whose message the API server repeats to the user.
func (f *fault) write(w http.ResponseWriter) {
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Message:  f.message,
		Reason:   f.reason,
		Code:     int32(f.code),
	})
	if err != nil {
		panic(fmt.Sprintf("this is a bug: encoding a Status: %v", err)) // strings and numbers
	}
	w.Header().Set("Content-Type", "application/json")
	if f.code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1") // the API server's client waits and asks again, within its timeout
	}
	w.WriteHeader(f.code)
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}
