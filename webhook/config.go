package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// configs answers reviews of ConfigMaps and Secrets. It only ever warns.
type configs struct {
	observer observer
	pages    chan struct{} // one for each page that is being read
}

func newConfigs(o observer) *configs {
	return &configs{observer: o, pages: make(chan struct{}, pagesAtOnce)}
}

// validate warns which workloads an edit is going to roll. It never blocks because sluice failed: a
// certificate has to be renewed.
func (h *configs) validate(ctx context.Context, req *request) (answer, error) {
	kind := req.configKind()
	if kind == "" {
		return ignored(req)
	}
	edit, err := req.edit(kind)
	if err != nil {
		return answer{}, err
	}
	decision := canary.Decision{Verdict: canary.Unchanged}
	if len(edit.keys) == 0 {
		return allowed(string(kind), decision), nil
	}
	effect, err := h.effect(ctx, edit)
	if err != nil {
		log.FromContext(ctx).Error(err, "looking for the workloads that use changed config failed")
		decision.Warnings = []string{fmt.Sprintf("sluice could not tell which workloads use %s of namespace %s: %v", edit.subject(), edit.namespace, err)}
		return allowed(string(kind), decision), nil
	}
	if decision.Warnings = effect.warnings(edit); len(decision.Warnings) > 0 {
		decision.Verdict = verdictWarned
	}
	return allowed(string(kind), decision), nil
}

// configKind returns the kind of the object of config that the request updates, empty for any other
// request.
func (r *request) configKind() hashing.Kind {
	if r.Resource.Group != "" || r.Resource.Version != "v1" || r.SubResource != "" || r.Operation != admissionv1.Update {
		return ""
	}
	switch r.Resource.Resource {
	case "configmaps":
		return hashing.ConfigMap
	case "secrets":
		return hashing.Secret
	}
	return ""
}

// edit is a change of a ConfigMap or Secret, without its content.
type edit struct {
	kind            hashing.Kind
	namespace, name string
	// keys that are new, gone or have another value, sorted; none where a change of the object rolls nothing.
	keys []string
}

// subject names the object, as "configmap/app".
func (e edit) subject() string { return subjectOf(string(e.kind), e.name) }

// content is what is decoded of a ConfigMap or Secret, to be compared and forgotten.
type content struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		// Raw, since kubectl apply keeps the whole object in one of them.
		Annotations map[string]json.RawMessage `json:"annotations"`
	} `json:"metadata"`
	Data       map[string]json.RawMessage `json:"data"`
	BinaryData map[string]json.RawMessage `json:"binaryData"`
}

// ignored: a change of the object rolls nothing.
func (c content) ignored() bool {
	return string(c.Metadata.Annotations[hashing.AnnotationConfig]) == `"`+hashing.ConfigIgnore+`"`
}

// edit returns what the request changes. Its errors are faults of the caller.
func (r *request) edit(kind hashing.Kind) (edit, error) {
	e := edit{kind: kind, namespace: r.Namespace, name: r.Name}
	if (r.Kind != metav1.GroupVersionKind{Version: "v1", Kind: string(kind)}) {
		return e, badRequest(faultReview, "the request is for %s but its kind is %s", r.Resource.Resource, r.Kind)
	}
	if err := r.namespaceFault(); err != nil {
		return e, err
	}
	before, err := r.content("oldObject", r.OldObject, kind)
	if err != nil {
		return e, err
	}
	after, err := r.content("object", r.Object, kind)
	if err != nil {
		return e, err
	}
	// An object that is to be ignored from now on, with other content in the same write, cannot be told from one that changed.
	if !before.ignored() || !after.ignored() {
		e.keys = slices.Concat(changedKeys(before.Data, after.Data), changedKeys(before.BinaryData, after.BinaryData))
		slices.Sort(e.keys)
		e.keys = slices.Compact(e.keys)
	}
	return e, nil
}

// content decodes one of the request's objects. Errors of the decoder quote what they cannot decode, so
// they go no further.
func (r *request) content(field string, raw json.RawMessage, kind hashing.Kind) (content, error) {
	var c content
	if !isObject(raw) {
		return c, badRequest(faultReview, "the request (%s of %s) has no %s", r.Operation, r.subject(), field)
	}
	if kjson.UnmarshalCaseSensitivePreserveInts(raw, &c) != nil {
		return content{}, badRequest(faultReview, "the request's %s is not a %s", field, kind)
	}
	if c.Metadata.Namespace != r.Namespace || c.Metadata.Name != r.Name {
		return content{}, badRequest(faultReview, "the request is for %s but its %s is another object", r.subject(), field)
	}
	return c, nil
}

// changedKeys compares values as the API server wrote them: it writes the same value the same way.
func changedKeys(before, after map[string]json.RawMessage) []string {
	var changed []string
	for key, value := range after {
		if old, ok := before[key]; !ok || string(old) != string(value) {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, ok := after[key]; !ok {
			changed = append(changed, key)
		}
	}
	return changed
}
