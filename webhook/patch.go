package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mattbaird/jsonpatch"
	kjson "sigs.k8s.io/json"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// patch collects operations. The zero value is an empty one.
type patch []jsonpatch.JsonPatchOperation

func (p *patch) set(value any, path ...string) {
	*p = append(*p, jsonpatch.NewPatch("add", pointer(path), value))
}

func (p *patch) remove(path ...string) {
	*p = append(*p, jsonpatch.NewPatch("remove", pointer(path), nil))
}

// bytes returns the patch as JSON, nil where there is no operation.
func (p patch) bytes() ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal([]jsonpatch.JsonPatchOperation(p))
	if err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	return raw, nil
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON pointer (RFC 6901) of a path.
func pointer(path []string) string {
	var b strings.Builder
	for _, element := range path {
		b.WriteByte('/')
		b.WriteString(escape.Replace(element))
	}
	return b.String()
}

// patchFor returns the operations that make the raw object, decoded as w, what is wanted.
func patchFor(raw json.RawMessage, w *canary.Workload, want *canary.Want) (patch, error) {
	var p patch
	if want == nil {
		return p, nil
	}
	p.entries(want.Labels, w.Metadata.Labels, "metadata", "labels")
	p.entries(want.Annotations, w.Metadata.Annotations, "metadata", "annotations")
	if want.Paused != nil && *want.Paused != w.Spec.Paused {
		p.set(*want.Paused, "spec", "paused")
	}
	if err := p.rolling(raw, "strategy", w.Spec.Strategy, "maxSurge", want.MaxSurge, w.Spec.Strategy.MaxSurge()); err != nil {
		return nil, err
	}
	if want.Partition != nil {
		wanted, current := number(*want.Partition), number(w.Spec.UpdateStrategy.Partition())
		if err := p.rolling(raw, "updateStrategy", w.Spec.UpdateStrategy, "partition", wanted, current); err != nil {
			return nil, err
		}
	}
	if want.Digest == nil {
		return p, nil
	}
	return p, p.digest(w.Spec.Template, *want.Digest)
}

// entries sets and removes entries of a map at a path whose parent exists, in the order of their keys.
func (p *patch) entries(want map[string]*string, have map[string]string, path ...string) {
	made := have != nil
	for _, key := range slices.Sorted(maps.Keys(want)) {
		current, exists := have[key]
		at := append(slices.Clone(path), key)
		switch value := want[key]; {
		case value == nil && exists:
			p.remove(at...)
		case value != nil && (!exists || current != *value):
			if !made {
				p.set(struct{}{}, path...)
				made = true
			}
			p.set(*value, at...)
		}
	}
}

// rolling sets a field of the rolling update of a strategy, decoded as have.
func (p *patch) rolling(raw json.RawMessage, strategy string, have canary.Strategy, field string, want, current json.RawMessage) error {
	if want == nil || bytes.Equal(want, current) {
		return nil
	}
	if have.RollingUpdate == nil {
		var object struct {
			Spec map[string]json.RawMessage `json:"spec"`
		}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &object); err != nil {
			return fmt.Errorf("decoding spec.%s: %w", strategy, err)
		}
		if !isObject(object.Spec[strategy]) {
			p.set(struct{}{}, "spec", strategy)
		}
		p.set(struct{}{}, "spec", strategy, "rollingUpdate")
	}
	p.set(want, "spec", strategy, "rollingUpdate", field)
	return nil
}

func number(n int32) json.RawMessage {
	return json.RawMessage(strconv.Itoa(int(n)))
}

// digest sets the config digest of the pod template; empty: there is none.
func (p *patch) digest(template json.RawMessage, digest string) error {
	metadata, annotations, err := templateAnnotations(template)
	if err != nil || annotations[hashing.AnnotationConfigHash] == digest {
		return err
	}
	if !metadata {
		p.set(struct{}{}, "spec", "template", "metadata")
	}
	want := map[string]*string{hashing.AnnotationConfigHash: nil}
	if digest != "" {
		want[hashing.AnnotationConfigHash] = &digest
	}
	p.entries(want, annotations, "spec", "template", "metadata", "annotations")
	return nil
}

// templateAnnotations returns the annotations of a pod template, and whether there is metadata at all.
func templateAnnotations(template json.RawMessage) (bool, map[string]string, error) {
	var t struct {
		Metadata *struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	// The spec is most of a template.
	if err := kjson.UnmarshalCaseSensitivePreserveInts(without("spec", template), &t); err != nil {
		return false, nil, fmt.Errorf("decoding the pod template: %w", err)
	}
	if t.Metadata == nil {
		return false, nil, nil
	}
	return true, t.Metadata.Annotations, nil
}

func isObject(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '{'
}
