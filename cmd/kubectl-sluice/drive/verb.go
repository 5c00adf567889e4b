package drive

import (
	"fmt"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// Verb is something that people do with a release.
type Verb struct {
	name, doing string
	annotation  string
	value       func(*canary.Release) string
	// before returns what there is to say instead of a write: it is so already, or the write would be in
	// vain.
	before func(*workload.Workload, report.Target) (done string, err error)
	// after returns what the write did, empty where it did nothing.
	after func(before, after *canary.Release) string
}

// The verbs.
var (
	Promote = Verb{
		name: "promote", doing: "promoting", annotation: canary.ApproveAnnotation,
		value: (*canary.Release).ApproveValue,
		before: func(w *workload.Workload, t report.Target) (string, error) {
			if a := approval(w.Release); a != nil {
				return fmt.Sprintf("step %d of release %d is approved by %q already", a.Step, w.Release.ID, a.By), nil
			}
			return beforePromotion(w, t)
		},
		after: func(before, after *canary.Release) string {
			if after.ID != before.ID || after.ApprovedBy(before.Step) == "" {
				return ""
			}
			return fmt.Sprintf("step %d of release %d approved", before.Step, before.ID)
		},
	}
	PromoteFully = Verb{
		name: "promote", doing: "promoting", annotation: canary.ApproveAnnotation,
		value: (*canary.Release).ApproveFullValue,
		before: func(w *workload.Workload, t report.Target) (string, error) {
			switch a := approval(w.Release); {
			case a == nil:
				return beforePromotion(w, t)
			case a.Full:
				return fmt.Sprintf("release %d is approved by %q already, with all steps", w.Release.ID, a.By), nil
			default:
				return "", fmt.Errorf("step %d of release %d of %s is approved by %q already, alone: skip the others when the next one waits",
					a.Step, w.Release.ID, w.Ref, a.By)
			}
		},
		after: func(before, after *canary.Release) string {
			if a := approval(after); after.ID != before.ID || a == nil || !a.Full {
				return ""
			}
			return fmt.Sprintf("release %d approved, with all steps", before.ID)
		},
	}
	Abort = Verb{
		name: "abort", doing: "aborting", annotation: canary.AbortAnnotation,
		value: (*canary.Release).Name,
		before: func(w *workload.Workload, _ report.Target) (string, error) {
			switch w.Release.Phase {
			case canary.Aborted:
				return fmt.Sprintf("release %d is aborted already", w.Release.ID), nil
			case canary.Reverting:
				return fmt.Sprintf("release %d is being reverted already", w.Release.ID), nil
			case canary.Progressing, canary.Waiting, canary.Promoting: // admission knows whether it is too late
			}
			return "", nil
		},
		after: func(before, after *canary.Release) string {
			if after.ID != before.ID || after.Phase != canary.Aborted {
				return ""
			}
			return fmt.Sprintf("release %d aborted", before.ID)
		},
	}
	Retry = Verb{
		name: "retry", doing: "retrying", annotation: canary.RetryAnnotation,
		value: (*canary.Release).Name,
		before: func(w *workload.Workload, t report.Target) (string, error) {
			if w.Release.Phase != canary.Aborted {
				return "", fmt.Errorf("release %d of %s is %s, not aborted, so there is nothing to retry; look with: %s",
					w.Release.ID, w.Ref, w.Release.Phase, t.Plugin("status"))
			}
			return "", nil
		},
		after: func(before, after *canary.Release) string {
			if after.ID == before.ID || after.Phase != canary.Progressing {
				return ""
			}
			return fmt.Sprintf("release %d starts again as release %d", before.ID, after.ID)
		},
	}
)

// approval returns the approval of the current step, nil where there is none.
func approval(r *canary.Release) *canary.Approval {
	for i := range r.Approvals {
		if r.Approvals[i].Step == r.Step {
			return &r.Approvals[i]
		}
	}
	return nil
}

func beforePromotion(w *workload.Workload, t report.Target) (string, error) {
	r := w.Release
	switch {
	case r.Phase == canary.Promoting:
		return fmt.Sprintf("release %d is being promoted already", r.ID), nil
	case r.Phase == canary.Progressing && r.Step == 0:
		return "", fmt.Errorf("release %d of %s has not begun, since it was paused before; step 1 starts with: %s", r.ID, w.Ref, t.Resume(w.Kind.Name))
	}
	return "", nil // admission knows whether it may be approved, and says why not
}

// conclude returns what the write did. That it did nothing is an error.
func (v Verb) conclude(before *workload.Workload, after *stored) (string, error) {
	if after.Release != nil {
		if done := v.after(before.Release, after.Release); done != "" {
			return done, nil
		}
	}
	if after.kept {
		return "", fmt.Errorf("%s %s: the annotation %s was stored, but sluice did not act on it; %s", v.doing, before.Ref, v.annotation, lookAtSluice)
	}
	return "", fmt.Errorf("%s %s: sluice took the annotation %s back, so nothing was done; its warning says why", v.doing, before.Ref, v.annotation)
}
