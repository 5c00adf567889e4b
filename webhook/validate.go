package webhook

import (
	"context"
	"fmt"
	"strings"

	"sluice.dev/sluice/canary"
)

// validate decides once more on a workload as it is going to be stored, and refuses it where the
// decision still wants something: then another webhook changed it after sluice.
func (h *workloads) validate(ctx context.Context, req *request) (answer, error) {
	if req.workloadKind() == "" {
		return ignored(req)
	}
	review, err := req.review(h.sluice)
	if err != nil {
		return answer{}, err
	}
	needs, err := canary.Ask(review)
	if err != nil {
		return answer{}, badRequest(faultReview, "%v", err)
	}
	seen, err := h.observer.observe(ctx, req, review, canary.Needs{Namespace: needs.Namespace})
	if err != nil {
		return answer{}, err
	}
	if err := takeForGranted(&seen.world, review, needs); err != nil {
		return answer{}, badRequest(faultReview, "%v", err)
	}
	decision, err := canary.Decide(review, seen.world)
	if err != nil {
		return answer{}, badRequest(faultReview, "%v", err)
	}
	if decision.Verdict == canary.Denied {
		return denied(review.Kind, decision), nil
	}
	p, err := patchFor(req.Object, review.New, decision.Want)
	if err != nil {
		return answer{}, fmt.Errorf("comparing with what sluice set: %w", err)
	}
	if len(p) > 0 {
		return denied(review.Kind, canary.Decision{Verdict: verdictChanged, Message: undoneMessage(req, p)}), nil
	}
	decision.Warnings = nil // the user has them from /mutate
	return allowed(review.Kind, decision), nil
}

// takeForGranted fills in what /mutate found out in this very request: permissions, and the digest that
// it wrote. Reading them again would not tell whether somebody changed the object.
func takeForGranted(world *canary.World, review canary.Review, needs canary.Needs) error {
	world.Allowed = make(map[string]bool, len(needs.Verbs))
	for _, verb := range needs.Verbs {
		world.Allowed[verb] = true
	}
	var err error
	world.Digest, err = canary.TemplateDigest(review.New.Spec.Template)
	return err
}

func undoneMessage(req *request, p patch) string {
	fields := make([]string, 0, len(p))
	for _, operation := range p {
		fields = append(fields, operation.Path)
	}
	return fmt.Sprintf("another admission webhook changed %s of %s after sluice had set it: "+
		"find it among \"kubectl get mutatingwebhookconfigurations\" and exempt these fields there, or give it reinvocationPolicy Never",
		strings.Join(fields, ", "), req.subject())
}
