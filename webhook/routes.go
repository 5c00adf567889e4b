package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// routes answers reviews of routes during a release. What becomes of one follows from the two objects alone:
// nothing is read, and nobody is refused.
type routes struct {
	sluice string // sluice's own username
}

// routeKinds of the resources that sluice splits, in any version.
var routeKinds = map[schema.GroupResource]string{
	{Group: "gateway.networking.k8s.io", Resource: "httproutes"}: "HTTPRoute",
	{Group: "gateway.networking.k8s.io", Resource: "grpcroutes"}: "GRPCRoute",
	{Group: "networking.k8s.io", Resource: "ingresses"}:          "Ingress",
	{Group: "networking.istio.io", Resource: "virtualservices"}:  "VirtualService",
	{Group: "apisix.apache.org", Resource: "apisixroutes"}:       "ApisixRoute",
}

// mutate makes the share that the controller asks for the route's spec, and keeps it there whoever writes.
func (h *routes) mutate(_ context.Context, req *request) (answer, error) {
	kind := req.routeKind()
	provider, known := split.For(schema.GroupKind{Group: req.Resource.Group, Kind: kind})
	if !known {
		return ignored(req)
	}
	stored, asked, err := req.routes(kind)
	if err != nil {
		return answer{}, err
	}
	result, warnings, err := split.Admitted(provider, stored, asked, req.UserInfo.Username == h.sluice)
	if err != nil {
		return answer{}, badRequest(faultReview, "the request's %s cannot be read: %v", kind, err)
	}
	return routed(kind, asked, result, warnings)
}

// routed allows the request, with the operations that make the route what is wanted.
func routed(kind string, asked, result *unstructured.Unstructured, warnings []string) (answer, error) {
	a := answer{Response: admission.Allowed(""), kind: kind, verdict: string(canary.Unchanged)}
	var err error
	if a.Patch, err = patchForRoute(asked, result).bytes(); err != nil {
		return answer{}, fmt.Errorf("making the patch: %w", err)
	}
	if len(a.Patch) > 0 {
		patchType := admissionv1.PatchTypeJSONPatch
		a.PatchType, a.verdict = &patchType, verdictRestored
		if result.GetLabels()[split.ActiveLabel] == "true" {
			a.verdict = verdictSplit
		}
	}
	a.Warnings = warnings
	a.AuditAnnotations = map[string]string{"verdict": a.verdict}
	return a, nil
}

// patchForRoute returns the operations that make a route the wanted one. They differ in sluice's annotation and
// label, and in fields of the spec: of these the whole one is set, since lists are not compared.
func patchForRoute(asked, want *unstructured.Unstructured) patch {
	var p patch
	p.mark(asked, want, "annotations", split.RecordAnnotation)
	p.mark(asked, want, "labels", split.ActiveLabel)
	before, _ := asked.Object["spec"].(map[string]any)
	after, _ := want.Object["spec"].(map[string]any)
	for _, field := range slices.Sorted(maps.Keys(after)) {
		if !reflect.DeepEqual(before[field], after[field]) {
			p.set(after[field], "spec", field)
		}
	}
	return p
}

// mark sets or removes an annotation or label, and with it the map that holds it.
func (p *patch) mark(asked, want *unstructured.Unstructured, field, key string) {
	before, after := marksOf(asked, field), marksOf(want, field)
	switch {
	case reflect.DeepEqual(before[key], after[key]):
	case after == nil:
		p.remove("metadata", field)
	case after[key] == nil:
		p.remove("metadata", field, key)
	default:
		if before == nil {
			p.set(struct{}{}, "metadata", field)
		}
		p.set(after[key], "metadata", field, key)
	}
}

func marksOf(route *unstructured.Unstructured, field string) map[string]any {
	metadata, _ := route.Object["metadata"].(map[string]any)
	marks, _ := metadata[field].(map[string]any)
	return marks
}

// routeKind returns the kind of the route that the request creates or updates, empty for any other request.
func (r *request) routeKind() string {
	if r.SubResource != "" || r.Operation != admissionv1.Create && r.Operation != admissionv1.Update {
		return ""
	}
	return routeKinds[schema.GroupResource{Group: r.Resource.Group, Resource: r.Resource.Resource}]
}

// routes decodes the routes of a request, the stored one nil for a CREATE. Its errors are faults of the caller.
func (r *request) routes(kind string) (stored, asked *unstructured.Unstructured, err error) {
	if (r.Kind != metav1.GroupVersionKind{Group: r.Resource.Group, Version: r.Resource.Version, Kind: kind}) {
		return nil, nil, badRequest(faultReview, "the request is for %s but its kind is %s", r.Resource.Resource, r.Kind)
	}
	if err := r.namespaceFault(); err != nil {
		return nil, nil, err
	}
	if asked, err = r.route("object", r.Object, kind); err != nil || r.Operation == admissionv1.Create {
		return nil, asked, err
	}
	stored, err = r.route("oldObject", r.OldObject, kind)
	return stored, asked, err
}

// route decodes one of the request's objects as a whole: fields that nobody here knows are carried.
func (r *request) route(field string, raw json.RawMessage, kind string) (*unstructured.Unstructured, error) {
	if !isObject(raw) {
		return nil, badRequest(faultReview, "the request (%s of %s) has no %s", r.Operation, r.subject(), field)
	}
	route := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &route.Object); err != nil {
		return nil, badRequest(faultReview, "the request's %s is not JSON: %v", field, err)
	}
	if route.GetKind() != kind {
		return nil, badRequest(faultReview, "the request's %s is a %q, not a %s", field, route.GetKind(), kind)
	}
	if route.GetNamespace() != r.Namespace {
		return nil, badRequest(faultReview, "the request is for namespace %q but its %s is in %q", r.Namespace, field, route.GetNamespace())
	}
	return route, nil
}
