package canary

import (
	"encoding/json"
	"slices"

	"sluice.dev/sluice/hashing"
)

// UsedConfig is what counts as config of a pod template.
type UsedConfig struct {
	// References of the template, and the extra objects of the policy that governs it. None where config is ignored.
	References []hashing.Reference
	// Pinned are those of the template, where its pods are to read snapshots.
	Pinned []hashing.Reference
}

// Config returns what a decision on the review takes for config.
func Config(r Review, namespace map[string]string) (UsedConfig, error) {
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
	used, err := s.config(w.Spec.Template)
	return used.References, err
}

// RunsPinned tells whether the pods of a stored workload read a snapshot of an object, and not the object itself: those of
// the version in its spec, and where a release is under way, those of the stable one.
func RunsPinned(w *Workload, kind hashing.Kind, name string) (bool, error) {
	digest, err := TemplateDigest(w.Spec.Template)
	if err != nil {
		return false, err
	}
	digests := []string{digest}
	if w.Metadata.Labels[ActiveLabel] == "true" {
		release, err := DecodeRelease(w.Metadata.Annotations)
		if err != nil || release == nil {
			return false, nil //nolint:nilerr // nobody knows what runs
		}
		digests = append(digests, release.Stable.Digest)
	}
	return !slices.ContainsFunc(digests, func(digest string) bool {
		return !slices.Contains(hashing.Pinned(digest), hashing.ObjectName(kind, name))
	}), nil
}

func (p Policy) config(template json.RawMessage) (UsedConfig, error) {
	if p.IgnoreConfig {
		return UsedConfig{}, nil
	}
	refs, err := hashing.References(template)
	used := UsedConfig{References: refs}
	if p.PinConfig {
		used.Pinned = refs
	}
	if err != nil || p.ConfigExtra == "" {
		return used, err
	}
	extra, err := hashing.ParseExtra(p.ConfigExtra)
	used.References = hashing.Join(refs, extra)
	return used, err
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
