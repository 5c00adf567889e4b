package webhook

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/webhook/ownership"
)

// workloads answers reviews of workloads.
type workloads struct {
	observer observer
	sluice   string // sluice's own username
}

// mutate decides on a workload as the user sent it.
func (h *workloads) mutate(ctx context.Context, req *request) (answer, error) {
	if req.workloadKind() == "" {
		return ignored(req)
	}
	review, err := req.review(h.sluice)
	if err != nil {
		return answer{}, err
	}
	var before map[string]string
	if review.Old != nil {
		before = review.Old.Metadata.Annotations
	}
	if err := ownership.ValidateChange(before, review.New.Metadata.Annotations); err != nil {
		return invalidPolicy(req, err), nil
	}
	needs, err := canary.Ask(review)
	if err != nil {
		return answer{}, badRequest(faultReview, "%v", err)
	}
	seen, err := h.observer.observe(ctx, req, review, needs)
	if err != nil {
		return answer{}, err
	}
	decision, err := canary.Decide(review, seen.world)
	if err != nil {
		return answer{}, badRequest(faultReview, "%v", err)
	}
	if decision.Verdict == canary.Denied {
		return denied(review.Kind, decision), nil
	}
	decision.Warnings = append(decision.Warnings, seen.warnings...)
	if len(seen.snapshots) > 0 && !req.DryRun && decision.Sets(seen.world.Digest) {
		refusal, err := h.observer.pinning.make(ctx, req.Namespace, seen.snapshots)
		if err != nil {
			return answer{}, err
		}
		if refusal != "" {
			return denied(review.Kind, canary.Unpinned(review, refusal)), nil
		}
	}
	return patched(req, review, decision)
}

// patched allows the request, with the operations that make the object what is wanted.
func patched(req *request, review canary.Review, decision canary.Decision) (answer, error) {
	p, err := patchFor(req.Object, review.New, decision.Want)
	if err != nil {
		return answer{}, fmt.Errorf("making the patch: %w", err)
	}
	a := allowed(review.Kind, decision)
	if a.Patch, err = p.bytes(); err != nil {
		return answer{}, err
	}
	if len(a.Patch) > 0 {
		kind := admissionv1.PatchTypeJSONPatch
		a.PatchType = &kind
	}
	return a, nil
}

func allowed(kind string, decision canary.Decision) answer {
	a := answer{Response: admission.Allowed(""), kind: kind, verdict: string(decision.Verdict), reason: string(decision.Reason)}
	a.Warnings = decision.Warnings
	a.AuditAnnotations = map[string]string{"verdict": a.verdict}
	return a
}

func denied(kind string, decision canary.Decision) answer {
	a := answer{Response: admission.Denied(decision.Message), kind: kind, verdict: string(decision.Verdict), reason: string(decision.Reason)}
	a.Warnings = decision.Warnings
	a.AuditAnnotations = map[string]string{"verdict": a.verdict, "reason": decision.Message}
	return a
}
