package ownership

import "slices"

const replicasField = ".spec.replicas"

// protects tells whether the claim of an entry to a field is protected: whoever applied it server-side
// meant it, an autoscaler means its replicas, and the others are those that the policy names.
//
// Claims by Update never expire: not even when the value is what it was before. So all other claims get no
// more than a warning, else a single `kubectl edit` would own a field for good.
func (r *rules) protects(e *entry, field string) bool {
	return r.meantAll(e) || r.autoscales(e) && (field == replicasField || field == managedFieldsField)
}

// meantAll tells whether all claims of an entry are protected.
func (r *rules) meantAll(e *entry) bool {
	return e.Operation == apply || slices.Contains(r.policy.protect, e.Manager)
}

func (c *Comparison) autoscales(e *entry) bool {
	return e.Subresource == scale && c.operator.Principal(e.Manager) != kubectl // `kubectl scale` is a person
}
