package canary

import "sluice.dev/sluice/hashing"

// Config returns what a decision on the review takes for config: the references of the new template, and
// the extra objects of the policy that governs it. None where config is ignored.
func Config(r Review, namespace map[string]string) ([]hashing.Reference, error) {
	policy := configPolicy(r, namespace)
	if policy.IgnoreConfig {
		return nil, nil
	}
	refs, err := hashing.References(r.New.Spec.Template)
	if err != nil || policy.ConfigExtra == "" {
		return refs, err
	}
	extra, err := hashing.ParseExtra(policy.ConfigExtra)
	return hashing.Join(refs, extra), err
}

// ConfigOf returns what counts as config of a stored workload as it stands, with the annotations of its
// Namespace. None where config is ignored, or the policy is not valid.
func ConfigOf(w *Workload, namespace map[string]string) ([]hashing.Reference, error) {
	return Config(Review{Operation: Create, New: w}, namespace)
}

// configPolicy is the policy that says what config is; the zero one where it is not valid, which Decide
// refuses.
func configPolicy(r Review, namespace map[string]string) Policy {
	switch {
	case r.Operation == Create:
		s, _ := settings(namespace, r.New)
		return s.Policy
	case r.Sluice && !(change{Review: r}).notices(): // it reads config once more, for a release that has begun
		if release, err := DecodeRelease(r.Old.Metadata.Annotations); err == nil && release != nil {
			return release.Policy
		}
		return Policy{}
	}
	s, _ := change{Review: r}.settings(World{NamespaceAnnotations: namespace})
	return s.Policy
}
