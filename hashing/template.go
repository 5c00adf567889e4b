package hashing

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/json"
)

// The parts of a pod template that can refer to config; everything else is skipped while decoding.
type (
	podTemplate struct {
		Spec struct {
			Volumes        []volume    `json:"volumes"`
			InitContainers []container `json:"initContainers"`
			Containers     []container `json:"containers"`
		} `json:"spec"`
	}
	volume struct {
		ConfigMap *namedVolume  `json:"configMap"`
		Secret    *secretVolume `json:"secret"`
		Projected *struct {
			Sources []struct {
				ConfigMap *namedVolume `json:"configMap"`
				Secret    *namedVolume `json:"secret"`
			} `json:"sources"`
		} `json:"projected"`
	}
	namedVolume struct {
		Name     string `json:"name"`
		Items    []item `json:"items"`
		Optional bool   `json:"optional"`
	}
	// A Secret volume is the one place that calls the name secretName.
	secretVolume struct {
		SecretName string `json:"secretName"`
		Items      []item `json:"items"`
		Optional   bool   `json:"optional"`
	}
	item struct {
		Key string `json:"key"`
	}
	container struct {
		Env []struct {
			ValueFrom *struct {
				ConfigMapKeyRef *keyRef `json:"configMapKeyRef"`
				SecretKeyRef    *keyRef `json:"secretKeyRef"`
			} `json:"valueFrom"`
		} `json:"env"`
		EnvFrom []struct {
			ConfigMapRef *envRef `json:"configMapRef"`
			SecretRef    *envRef `json:"secretRef"`
		} `json:"envFrom"`
	}
	keyRef struct {
		Name     string `json:"name"`
		Key      string `json:"key"`
		Optional bool   `json:"optional"`
	}
	envRef struct {
		Name     string `json:"name"`
		Optional bool   `json:"optional"`
	}
)

// References returns the config that a raw pod template uses: one reference per object, sorted by kind and name.
//
// Field names are case-sensitive and the last duplicate wins, as in the API server. Unknown fields are skipped. A
// reference without a name is skipped too: the API server refuses the template after admission. The error says that the
// bytes are not a pod template. A template that mentions no config at all is not even parsed.
func References(template stdjson.RawMessage) ([]Reference, error) {
	if !mentionsConfig(template) {
		return nil, nil
	}
	return parseReferences(template)
}

func parseReferences(template []byte) ([]Reference, error) {
	var decoded podTemplate
	if err := json.Unmarshal(template, &decoded); err != nil {
		return nil, fmt.Errorf("decoding pod template: %w", err)
	}
	var found finder
	for _, volume := range decoded.Spec.Volumes {
		found.volume(volume)
	}
	for _, container := range decoded.Spec.InitContainers {
		found.container(container)
	}
	for _, container := range decoded.Spec.Containers {
		found.container(container)
	}
	return merge(found), nil
}

// mentionsConfig is false only for templates without references. Every field that refers to config starts with one of
// two words. JSON may spell their letters as \u004d (M) and \u0061 to \u0074; the API server never does, but bytes of
// any origin must give the same answer here as from the parser.
func mentionsConfig(template []byte) bool {
	return contains(template, `"configMap`) || contains(template, `"secret`) ||
		contains(template, `\u00`) && (contains(template, `\u004`) || contains(template, `\u006`) || contains(template, `\u007`))
}

func contains(template []byte, word string) bool { return bytes.Contains(template, []byte(word)) }

// finder collects references in the order of the template.
type finder []Reference

func (f *finder) volume(v volume) {
	if v.ConfigMap != nil {
		f.items(ConfigMap, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
	}
	if v.Secret != nil {
		f.items(Secret, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
	}
	if v.Projected == nil {
		return
	}
	for _, source := range v.Projected.Sources {
		if source.ConfigMap != nil {
			f.items(ConfigMap, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
		}
		if source.Secret != nil {
			f.items(Secret, source.Secret.Name, source.Secret.Items, source.Secret.Optional)
		}
	}
}

func (f *finder) container(c container) {
	for _, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		if ref := env.ValueFrom.ConfigMapKeyRef; ref != nil {
			f.keys(ConfigMap, ref.Name, []string{ref.Key}, ref.Optional)
		}
		if ref := env.ValueFrom.SecretKeyRef; ref != nil {
			f.keys(Secret, ref.Name, []string{ref.Key}, ref.Optional)
		}
	}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			f.keys(ConfigMap, from.ConfigMapRef.Name, nil, from.ConfigMapRef.Optional)
		}
		if from.SecretRef != nil {
			f.keys(Secret, from.SecretRef.Name, nil, from.SecretRef.Optional)
		}
	}
}

func (f *finder) items(kind Kind, name string, items []item, optional bool) {
	var keys []string
	for _, item := range items {
		keys = append(keys, item.Key)
	}
	f.keys(kind, name, keys, optional)
}

func (f *finder) keys(kind Kind, name string, keys []string, optional bool) {
	if name == "" {
		return
	}
	ref := Reference{Kind: kind, Name: name, Keys: keys, Optional: optional}
	if !optional {
		ref.Required = keys
	}
	*f = append(*f, ref)
}
