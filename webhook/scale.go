package webhook

import (
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

// scales answers reviews of the scale subresource. A Scale tells nothing of the release nor of the owners, so
// the workload is read.
type scales struct {
	reader client.Reader
	owners *owners
}

// validate refuses to scale a workload with a release to 0, and to take the replicas from their owner. It
// never blocks because sluice failed: an autoscaler has to go on.
func (h *scales) validate(ctx context.Context, req *request) (answer, error) {
	kind := req.scales()
	if kind == "" {
		return ignored(req)
	}
	if err := req.namespaceFault(); err != nil {
		return answer{}, err
	}
	before, after, err := req.scale()
	if err != nil {
		return answer{}, err
	}
	unchanged := canary.Decision{Verdict: canary.Unchanged}
	if before == after {
		return allowed("Scale", unchanged), nil
	}
	parent, release, err := h.look(ctx, kind, req, after == 0)
	switch {
	case err != nil:
		log.FromContext(ctx).Error(err, "looking at what is scaled failed")
		unchanged.Warnings = []string{fmt.Sprintf("sluice could not tell whether %s/%s has a release: %v", req.Namespace, req.Name, err)}
		return allowed("Scale", unchanged), nil
	case parent == nil:
		return allowed("Scale", unchanged), nil
	case release != nil:
		return denied("Scale", canary.Decision{Verdict: canary.Denied, Reason: canary.ScaleToZero, Message: canary.ScaleToZeroMessage(kind, req.Namespace, req.Name, release)}), nil
	}
	return h.owners.validateScale(ctx, req, parent, before, after)
}

// look returns the workload, nil where it does not exist, and where it goes to zero the release that it has.
func (h *scales) look(ctx context.Context, kind string, req *request, toZero bool) (*metav1.PartialObjectMetadata, *canary.Release, error) {
	parent, err := h.parent(ctx, kind, req, toZero)
	if err != nil || parent == nil || !toZero || parent.Labels[canary.ActiveLabel] != "true" {
		return parent, nil, err
	}
	release, err := canary.DecodeRelease(parent.Annotations)
	return parent, release, err
}

// parent returns the workload's metadata, nil where it does not exist. Whether it has a release must be
// certain. Who owns its replicas may be a moment old: it comes from the API server's watch cache, which costs
// etcd nothing, and sluice no memory.
func (h *scales) parent(ctx context.Context, kind string, req *request, certain bool) (*metav1.PartialObjectMetadata, error) {
	parent := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: kind}}
	options := &client.GetOptions{}
	if !certain {
		options.Raw = &metav1.GetOptions{ResourceVersion: "0"}
	}
	err := h.reader.Get(ctx, types.NamespacedName{Namespace: req.Namespace, Name: req.Name}, parent, options)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s/%s: %w", kind, req.Namespace, req.Name, err)
	}
	return parent, nil
}

// scales returns the kind of workload that the request scales, empty where it is none that is held.
func (r *request) scales() string {
	kind := kinds[r.Resource.Resource]
	if r.Resource.Group != "apps" || r.SubResource != "scale" || r.Operation != admissionv1.Update || !canary.Holdable(kind) {
		return ""
	}
	return kind
}

// scale returns the replicas before and after.
func (r *request) scale() (before, after int32, err error) {
	if before, err = r.replicas("oldObject", r.OldObject); err != nil {
		return 0, 0, err
	}
	after, err = r.replicas("object", r.Object)
	return before, after, err
}

// replicas returns spec.replicas of a Scale; the API server leaves it out where it is 0.
func (r *request) replicas(field string, raw json.RawMessage) (int32, error) {
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
