package canary

import (
	"encoding/json"

	"sluice.dev/sluice/hashing"
)

// Config returns what a decision on the review takes for config: the references of the new template, and
// the extra objects of the policy that governs it. None where config is ignored.
func Config(r Review, namespace map[string]string) ([]hashing.Reference, error) {
	return configPolicy(r, namespace).config(r.New.Spec.Template)
}

// ConfigOf returns what counts as config of a stored workload from its next version on: what Config
// returns for an update that leaves everything else as it is. The error says that the policy is not
// valid, with which admission lets no new version pass.
func ConfigOf(w *Workload, namespace map[string]string) ([]hashing.Reference, error) {
	s, err := settings(namespace, w)
	if err != nil {
		return nil, err
	}
	return s.config(w.Spec.Template)
}

func (p Policy) config(template json.RawMessage) ([]hashing.Reference, error) {
	if p.IgnoreConfig {
		return nil, nil
	}
	refs, err := hashing.References(template)
	if err != nil || p.ConfigExtra == "" {
		return refs, err
	}
	extra, err := hashing.ParseExtra(p.ConfigExtra)
	return hashing.Join(refs, extra), err
}

// configPolicy is the policy that says what config is; the zero one where it is not valid, which Decide
// refuses.
func configPolicy(r Review, namespace map[string]string) Policy {
	if r.Operation == Create {
		s, _ := settings(namespace, r.New)
		return s.Policy
	}
	c, err := classify(r)
	switch {
	case err != nil:
		return Policy{}
	case r.Sluice && !c.notices(): // it reads config once more, for a release that has begun
		if release, err := DecodeRelease(r.Old.Metadata.Annotations); err == nil && release != nil {
			return release.Policy
		}
		return Policy{}
	}
	s, _ := c.settings(World{NamespaceAnnotations: namespace})
	return s.Policy
}
