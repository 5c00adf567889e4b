package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/webhook/ownership"
)

// owners answers whether a write takes fields of others, for any resource that the webhook configuration
// lists: the check needs no schema.
type owners struct {
	observer observer
	operator ownership.Operator
	sluice   string // sluice's own username
	recorder *recorder
	metrics  *metrics
}

// validate decides on an object as it is going to be stored. The Namespace is read only where somebody lost
// something.
func (h *owners) validate(ctx context.Context, req *request) (answer, error) {
	if !req.updatesObject() {
		return ignored(req)
	}
	if err := req.ownedFault(); err != nil {
		return answer{}, err
	}
	c, err := ownership.Compare(ownership.Review{
		Old: req.OldObject, New: req.Object,
		User: req.UserInfo.Username, Sluice: req.UserInfo.Username == h.sluice,
		FieldManager: req.Options.FieldManager, Resource: req.groupResource(),
	}, h.operator)
	if err != nil {
		return answer{}, undecodable(req)
	}
	if err := c.ValidatePolicy(); err != nil {
		return invalidPolicy(req, err), nil
	}
	d, err := h.decide(ctx, req, c)
	if err != nil {
		return answer{}, err
	}
	a := h.answer(req, d)
	if a.Allowed {
		if err := h.untraced(ctx, req, c, a); err != nil {
			return answer{}, undecodable(req)
		}
	}
	return a, nil
}

// validateScale decides on a write to /scale, by the claims of the object that is scaled.
func (h *owners) validateScale(ctx context.Context, req *request, parent *metav1.PartialObjectMetadata, before, after int32) (answer, error) {
	if parent.Labels[canary.EnabledLabel] == "false" { // a Scale carries no labels that a webhook could select by
		return allowed("Scale", canary.Decision{Verdict: canary.Unchanged}), nil
	}
	raw, err := json.Marshal(parent)
	if err != nil {
		return answer{}, fmt.Errorf("encoding the metadata of %s/%s: %w", parent.Namespace, parent.Name, err)
	}
	c, err := ownership.CompareScale(ownership.ScaleReview{
		Parent: raw, Old: int64(before), New: int64(after),
		User: req.UserInfo.Username, Sluice: req.UserInfo.Username == h.sluice,
		FieldManager: req.Options.FieldManager, Resource: req.groupResource(),
	}, h.operator)
	if err != nil {
		return answer{}, undecodable(req)
	}
	d, err := h.decide(ctx, req, c)
	if err != nil {
		return answer{}, err
	}
	a := h.answer(req, d)
	a.kind = "Scale"
	return a, nil
}

// undecodable does not repeat what the decoder says: it quotes what it cannot decode, and that may be a Secret.
func undecodable(req *request) error {
	return badRequest(faultReview, "the objects of the request (%s of %s) or their managedFields cannot be decoded", req.Operation, req.subject())
}

// decide asks for what the comparison leaves open: the policy of the Namespace, and whether the user may
// force what is refused. A write that is refused stays so where the permission cannot be looked up.
func (h *owners) decide(ctx context.Context, req *request, c *ownership.Comparison) (ownership.Decision, error) {
	contested, err := c.Contested()
	if err != nil {
		return ownership.Decision{}, undecodable(req)
	}
	if !contested {
		return ownership.Decision{Verdict: ownership.Allowed}, nil
	}
	defaults, optedIn, err := h.defaults(ctx, req.Namespace)
	if err != nil {
		return ownership.Decision{}, err
	}
	if !optedIn {
		return ownership.Decision{Verdict: ownership.Allowed, Reason: ownership.Ignored}, nil
	}
	d, err := c.Decide(defaults)
	if err != nil {
		return ownership.Decision{}, undecodable(req)
	}
	if d.NeedsPermission() {
		permitted, err := h.observer.permissions.allowed(ctx, req, ownership.VerbForce)
		if err != nil {
			log.FromContext(ctx).Error(err, "looking up a permission failed")
			d.Warnings = append(d.Warnings, fmt.Sprintf("sluice could not tell whether you may force it: %v", err))
		} else {
			d = d.Resolve(permitted)
		}
	}
	h.metrics.conflicts.WithLabelValues(string(d.Mode), h.known(d.Requester.Manager), string(d.Verdict)).Inc()
	if d.Verdict == ownership.Forced && !req.DryRun {
		h.recorder.forced(ctx, req, d)
	}
	return d, nil
}

// defaults are the annotations of the Namespace, where it has opted in. An object of the cluster has none, and
// is judged because the operator listed it.
func (h *owners) defaults(ctx context.Context, namespace string) (annotations map[string]string, optedIn bool, err error) {
	if namespace == "" {
		return nil, true, nil
	}
	object, err := h.observer.namespace(ctx, namespace)
	if err != nil {
		return nil, false, err
	}
	return object.Annotations, object.Labels[canary.EnabledLabel] == "true", nil
}

func (h *owners) answer(req *request, d ownership.Decision) answer {
	a := answer{Response: admission.Allowed(""), kind: req.kindLabel(), verdict: string(d.Verdict), reason: string(d.Reason)}
	a.Warnings = d.Warnings
	a.AuditAnnotations = map[string]string{"verdict": a.verdict}
	for key, conflicts := range map[string][]ownership.Conflict{
		"refused": d.Refused, "forced": d.Forced, "warned": d.Warned, "ignored": d.Audited,
	} {
		if len(conflicts) > 0 {
			a.AuditAnnotations[key] = ownership.List(conflicts)
		}
	}
	if len(d.Loosened) > 0 {
		a.AuditAnnotations["loosened"] = strings.Join(d.Loosened, ", ")
	}
	if d.Verdict == ownership.Denied {
		status := d.Status()
		a.Allowed, a.Result = false, &status
	}
	return a
}

// invalidPolicy refuses annotations of ownership that do not say what people think they do.
func invalidPolicy(req *request, err error) answer {
	return denied(req.kindLabel(), canary.Decision{
		Verdict: canary.Denied, Reason: canary.InvalidPolicy,
		Message: fmt.Sprintf("sluice refuses this change of %s: its policy is not valid: %v", req.subject(), err),
	})
}

// untraced has in the audit log what another webhook changed, which nobody can be held to.
func (h *owners) untraced(ctx context.Context, req *request, c *ownership.Comparison, a answer) error {
	conflicts, err := c.Untraced()
	if err != nil || len(conflicts) == 0 {
		return err
	}
	a.AuditAnnotations["untraced"] = ownership.List(conflicts)
	log.FromContext(ctx).V(1).Info("fields changed under their owner", "object", req.subject(), "fields", a.AuditAnnotations["untraced"])
	return nil
}

// wellKnown are the managers that metrics name, beside those that the operator does: a name that a request
// makes up becomes no label.
var wellKnown = []string{
	"kubectl", "helm", "kustomize-controller", "helm-controller", "argocd-controller", "kube-controller-manager", ownership.ForceManager,
}

func (h *owners) known(manager string) string {
	switch manager = h.operator.Principal(manager); {
	case manager == "":
		return "unknown"
	case slices.Contains(wellKnown, manager), slices.Contains(slices.Collect(maps.Values(h.operator.Aliases)), manager):
		return manager
	case slices.ContainsFunc(h.operator.Bindings, func(b ownership.Binding) bool { return h.operator.Principal(b.Manager) == manager }):
		return manager
	}
	return "other"
}

// updatesObject tells whether the request updates an object itself, whatever its resource.
func (r *request) updatesObject() bool {
	return r.Operation == admissionv1.Update && r.SubResource == ""
}

// ownedFault is set where the request cannot be judged.
func (r *request) ownedFault() error {
	if r.Namespace != "" {
		if err := r.namespaceFault(); err != nil {
			return err
		}
	}
	for field, raw := range map[string]json.RawMessage{"object": r.Object, "oldObject": r.OldObject} {
		if !isObject(raw) {
			return badRequest(faultReview, "the request (%s of %s) has no %s", r.Operation, r.subject(), field)
		}
	}
	return nil
}

// groupResource names the resource as RBAC does, "deployments.apps".
func (r *request) groupResource() string {
	return strings.TrimSuffix(r.Resource.Resource+"."+r.Resource.Group, ".")
}

// kindLabel is the kind in metrics.
func (r *request) kindLabel() string {
	if kind := kinds[r.Resource.Resource]; kind != "" && r.Resource.Group == "apps" {
		return kind
	}
	return "other"
}
