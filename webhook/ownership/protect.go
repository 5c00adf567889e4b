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
	principal := r.operator.Principal(e.Manager)
	return e.Operation == apply || slices.ContainsFunc(r.policy.protect, func(manager string) bool { return r.operator.Principal(manager) == principal })
}

// autoscales tells whether an entry is the autoscaler's. Others that scale may be persons, and their claim would
// stay for good.
func (c *Comparison) autoscales(e *entry) bool {
	return e.Subresource == scale && c.operator.Principal(e.Manager) == controllerManager
}
