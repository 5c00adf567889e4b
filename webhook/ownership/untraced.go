package ownership

import "sigs.k8s.io/structured-merge-diff/v6/fieldpath"

// FindUntraced returns the fields of protected owners that changed although their owner still holds them:
// another webhook changed them after the write, or the API server could not track it. Nobody can be held
// to it, so it is for the log. It goes through all claims, which Decide does not.
func FindUntraced(r Review, o Operator) ([]Conflict, error) {
	c, err := compare(r, o)
	if err != nil || c.spared() != "" {
		return nil, err
	}
	if c.requester, err = c.identify(); err != nil {
		return nil, err
	}
	var found []Conflict
	for _, e := range c.old.Metadata.ManagedFields {
		if c.requester.is(o.principal(e.Manager)) || e.APIVersion != c.old.APIVersion {
			continue
		}
		conflicts, err := c.untraced(e)
		if err != nil {
			return nil, err
		}
		found = append(found, conflicts...)
	}
	sortByOwner(found)
	return found, nil
}

func (c *comparison) untraced(e *entry) ([]Conflict, error) {
	after := c.new.Metadata.ManagedFields.find(e.owner())
	if after == nil {
		return nil, nil
	}
	held, err := e.fields()
	if err != nil {
		return nil, err
	}
	left, err := after.fields()
	if err != nil {
		return nil, err
	}
	var found []Conflict
	held.Intersection(left).Iterate(func(path fieldpath.Path) {
		field := path.String()
		if !covered(c.ignored, path) && c.protects(e, field) && c.change(held, path) != "" && !c.filled(path) {
			found = append(found, Conflict{Owner: e.owner(), Field: field, How: Untraced, Protected: true})
		}
	})
	return found, nil
}

// filled tells whether an empty map or list was filled, or emptied: what is in it has owners of its own.
func (c *comparison) filled(path fieldpath.Path) bool {
	empty := func(values [][]byte) bool {
		return len(values) == 1 && (string(values[0]) == "{}" || string(values[0]) == "[]")
	}
	return empty(c.old.at(path)) || empty(c.new.at(path))
}
