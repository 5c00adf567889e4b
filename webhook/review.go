package webhook

import (
	"encoding/json"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
)

// admissionReview is what sluice reads of an AdmissionReview (admission.k8s.io/v1). The objects stay
// raw.
type admissionReview struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Request    *request `json:"request"`
}

type request struct {
	UID         types.UID                   `json:"uid"`
	Kind        metav1.GroupVersionKind     `json:"kind"`
	Resource    metav1.GroupVersionResource `json:"resource"`
	SubResource string                      `json:"subResource"`
	Name        string                      `json:"name"`
	Namespace   string                      `json:"namespace"`
	Operation   admissionv1.Operation       `json:"operation"`
	UserInfo    authenticationv1.UserInfo   `json:"userInfo"`
	Object      json.RawMessage             `json:"object"`
	OldObject   json.RawMessage             `json:"oldObject"`
	DryRun      bool                        `json:"dryRun"`
	Options     struct {
		FieldManager string `json:"fieldManager"`
	} `json:"options"`
}

// decodeReview decodes a body. Its errors are faults of the caller.
func decodeReview(body []byte) (*request, error) {
	if !utf8.Valid(body) {
		return nil, badRequest(faultJSON, "the body is not valid UTF-8")
	}
	var review admissionReview
	rest, cut, ok := cutObjects(body)
	if !ok {
		rest, cut = body, objects{}
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(rest, &review); err != nil {
		return nil, badRequest(faultJSON, "the body is not an AdmissionReview: %v", err)
	}
	switch {
	case review.Kind != "AdmissionReview" || review.APIVersion != admissionv1.SchemeGroupVersion.String():
		return nil, badRequest(faultReview, "the body is a %q of %q, not an AdmissionReview of %s",
			review.Kind, review.APIVersion, admissionv1.SchemeGroupVersion)
	case review.Request == nil:
		return nil, badRequest(faultReview, "the AdmissionReview has no request")
	case review.Request.UID == "":
		return nil, badRequest(faultReview, "the request has no uid")
	}
	if ok {
		review.Request.Object, review.Request.OldObject = cut.object, cut.oldObject
	}
	return review.Request, nil
}

// kinds of the resources that sluice admits, all of apps/v1.
var kinds = map[string]string{
	"deployments":  canary.Deployment,
	"statefulsets": canary.StatefulSet,
	"daemonsets":   canary.DaemonSet,
}

// workloadKind returns the kind of the workload that the request creates or updates, empty for any
// other request.
func (r *request) workloadKind() string {
	if r.Resource.Group != "apps" || r.Resource.Version != "v1" || r.SubResource != "" {
		return ""
	}
	if r.Operation != admissionv1.Create && r.Operation != admissionv1.Update {
		return ""
	}
	return kinds[r.Resource.Resource]
}

// subject names what the request is for, as "deployments shop/web".
func (r *request) subject() string {
	resource := r.Resource.Resource
	if r.SubResource != "" {
		resource += "/" + r.SubResource
	}
	return resource + " " + r.Namespace + "/" + r.Name
}

// review decodes the workloads of a request. Its errors are faults of the caller.
func (r *request) review(sluice string) (canary.Review, error) {
	review := canary.Review{
		Operation:    canary.Operation(r.Operation),
		Kind:         r.workloadKind(),
		User:         r.UserInfo.Username,
		Sluice:       r.UserInfo.Username == sluice,
		FieldManager: r.Options.FieldManager,
	}
	if (r.Kind != metav1.GroupVersionKind{Group: "apps", Version: "v1", Kind: review.Kind}) {
		return review, badRequest(faultReview, "the request is for %s but its kind is %s", r.Resource.Resource, r.Kind)
	}
	err := r.namespaceFault()
	if err != nil {
		return review, err
	}
	if review.New, err = r.workload("object", r.Object, review.Kind); err != nil {
		return review, err
	}
	if r.Operation == admissionv1.Update {
		review.Old, err = r.workload("oldObject", r.OldObject, review.Kind)
	}
	return review, err
}

// namespaceFault is set where the namespace cannot become part of a request path.
func (r *request) namespaceFault() error {
	if len(validation.IsDNS1123Label(r.Namespace)) > 0 {
		return badRequest(faultReview, "the request's namespace %q is not a valid name", r.Namespace)
	}
	return nil
}

// workload decodes one of the request's objects.
func (r *request) workload(field string, raw json.RawMessage, kind string) (*canary.Workload, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, badRequest(faultReview, "the request (%s of %s) has no %s", r.Operation, r.Resource.Resource, field)
	}
	w, err := canary.DecodeWorkload(raw)
	if err != nil {
		return nil, badRequest(faultReview, "the request's %s is not a %s: %v", field, kind, err)
	}
	if w.Metadata.Namespace == "" {
		w.Metadata.Namespace = r.Namespace
	}
	if w.Metadata.Namespace != r.Namespace {
		return nil, badRequest(faultReview, "the request is for namespace %q but its %s is in %q", r.Namespace, field, w.Metadata.Namespace)
	}
	return w, nil
}
