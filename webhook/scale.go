package webhook

import (
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

// scales answers reviews of the scale subresource. A Scale tells nothing of the release, so the
// workload is read.
type scales struct {
	reader client.Reader
}

// validate refuses to scale a workload with a release to 0. It never blocks because sluice failed: an
// autoscaler has to go on.
func (h *scales) validate(ctx context.Context, req *request) (answer, error) {
	kind := req.scales()
	if kind == "" {
		return ignored(req)
	}
	toZero, err := req.scalesToZero()
	if err != nil {
		return answer{}, err
	}
	unchanged := canary.Decision{Verdict: canary.Unchanged}
	if !toZero {
		return allowed("Scale", unchanged), nil
	}
	release, err := h.release(ctx, kind, req)
	switch {
	case err != nil:
		log.FromContext(ctx).Error(err, "looking for a release before scaling to zero failed")
		unchanged.Warnings = []string{fmt.Sprintf("sluice could not tell whether %s/%s has a release: %v", req.Namespace, req.Name, err)}
		return allowed("Scale", unchanged), nil
	case release == nil:
		return allowed("Scale", unchanged), nil
	}
	return denied("Scale", canary.Decision{Verdict: canary.Denied, Reason: canary.ScaleToZero, Message: canary.ScaleToZeroMessage(kind, req.Namespace, req.Name, release)}), nil
}

// release returns the release of the workload, nil where it has none or does not exist.
func (h *scales) release(ctx context.Context, kind string, req *request) (*canary.Release, error) {
	parent := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: kind}}
	err := h.reader.Get(ctx, types.NamespacedName{Namespace: req.Namespace, Name: req.Name}, parent)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading %s %s/%s: %w", kind, req.Namespace, req.Name, err)
	}
	if parent.Labels[canary.ActiveLabel] != "true" { // also where it was not found
		return nil, nil
	}
	return canary.DecodeRelease(parent.Annotations)
}

// scales returns the kind of workload that the request scales, empty where it is none that is held.
func (r *request) scales() string {
	kind := kinds[r.Resource.Resource]
	if r.Resource.Group != "apps" || r.SubResource != "scale" || r.Operation != admissionv1.Update || !canary.Holdable(kind) {
		return ""
	}
	return kind
}

// scalesToZero tells whether the request goes from some replicas to none.
func (r *request) scalesToZero() (bool, error) {
	before, err := r.scale("oldObject", r.OldObject)
	if err != nil {
		return false, err
	}
	after, err := r.scale("object", r.Object)
	return before != 0 && after == 0, err
}

// scale returns spec.replicas of a Scale; the API server leaves it out where it is 0.
func (r *request) scale(field string, raw json.RawMessage) (int32, error) {
	if !isObject(raw) {
		return 0, badRequest(faultReview, "the request (%s of %s) has no %s", r.Operation, r.subject(), field)
	}
	var scale struct {
		Spec struct {
			Replicas int32 `json:"replicas"`
		} `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &scale); err != nil {
		return 0, badRequest(faultReview, "the request's %s is not a Scale: %v", field, err)
	}
	return scale.Spec.Replicas, nil
}
