package ownership

import "slices"

const replicasField = ".spec.replicas"

// protects tells whether the claim of an entry to a field is protected: whoever applied it server-side
// meant it, an autoscaler means its replicas, and the others are those that the policy names.
//
// Claims by Update never expire: not even when the value is what it was before. So all other claims get no
// more than a warning, else a single `kubectl edit` would own a field for good.
func (c *comparison) protects(e *entry, field string) bool {
	switch {
	case e.Operation == apply:
		return true
	case slices.Contains(c.policy.protect, e.Manager):
		return true
	}
	return e.Subresource == scale && (field == replicasField || field == managedFieldsField) &&
		c.operator.principal(e.Manager) != kubectl // `kubectl scale` is a person
}
