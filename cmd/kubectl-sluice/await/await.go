package await

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/follow"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// Request is what to wait for.
type Request struct {
	Ref    workload.Ref
	Target report.Target
	Goal   Goal
	// Release that is meant; 0: the one that there is.
	Release int64
	// Timeout; 0: none.
	Timeout time.Duration
}

// TimeoutError says that the time was over first.
type TimeoutError struct{ message string }

func (e *TimeoutError) Error() string { return e.message }

// MissedError says that the release ended another way.
type MissedError struct{ message string }

func (e *MissedError) Error() string { return e.message }

// Release waits and returns what was reached, in one line. A *MissedError or *TimeoutError says that it
// was not; any other error, that nobody knows.
func Release(ctx context.Context, clock clock.Clock, client dynamic.Interface, request Request) (string, error) {
	timed, cancel := ctx, context.CancelFunc(func() {})
	if request.Timeout > 0 {
		timed, cancel = context.WithTimeout(ctx, request.Timeout)
	}
	defer cancel()
	judge, verdict := NewJudge(request.Goal, request.Release), Verdict{}
	err := follow.Object(timed, clock, client, request.Ref, func(object *unstructured.Unstructured) (bool, error) {
		w, err := workload.Decode(request.Ref.Kind, object)
		if err != nil {
			return false, err
		}
		if verdict = judge.See(w); verdict.Outcome == Unknown {
			verdict, err = recall(timed, client, w, request)
		}
		return verdict.Outcome != Undecided, err
	})
	switch {
	case err != nil && timed.Err() != nil && ctx.Err() == nil:
		return "", timeout(request, verdict)
	case err != nil:
		return "", err
	case verdict.Outcome == Reached:
		return verdict.Message, nil
	}
	return "", &MissedError{verdict.Message + "; look with: " + request.Target.Plugin("status")}
}

func timeout(request Request, last Verdict) error {
	state := last.Message
	if state == "" {
		state = fmt.Sprintf("%s was not read", request.Ref)
	}
	return &TimeoutError{fmt.Sprintf("not %s after %s: %s; look with: %s", request.Goal, request.Timeout, state, request.Target.Plugin("status"))}
}

// recall judges a release that was over before anybody looked. A canary's pods carry a hash that has the
// release in it, so the version that runs now tells whether it came from there. A promotion by extra
// capacity leaves no trace.
func recall(ctx context.Context, client dynamic.Interface, w *workload.Workload, request Request) (Verdict, error) {
	name := fmt.Sprintf("release %d of %s", request.Release, w.Ref)
	switch {
	case w.Release != nil:
		return Verdict{}, fmt.Errorf("%s does not exist: it is at release %d; look with: %s", name, w.Release.ID, request.Target.Plugin("status"))
	case w.Generation < request.Release:
		return Verdict{}, fmt.Errorf("%s does not exist: it is at generation %d; look with: %s", name, w.Generation, request.Target.Plugin("status"))
	}
	s, err := workload.NewReader(client).History(ctx, request.Ref)
	if err != nil {
		return Verdict{}, err
	}
	made := canary.CanaryHash(&canary.Release{ID: request.Release, Canary: canary.Revision{Hash: w.TemplateHash, Digest: w.Digest}})
	for _, revision := range s.Revisions {
		if revision.Role != workload.Stable || revision.PodLabel != made {
			continue
		}
		if request.Goal == Promoted {
			return Verdict{Reached, name + " is promoted"}, nil
		}
		return missed("%s is promoted", name), nil
	}
	return Verdict{}, fmt.Errorf("%s is over, and nothing tells how it ended; look with: %s", name, request.Target.Plugin("history"))
}
