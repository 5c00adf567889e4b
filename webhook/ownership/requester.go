package ownership

import "sigs.k8s.io/structured-merge-diff/v6/fieldpath"

// identify returns who asks: the manager that the request names, else the one of the entry that the write
// is entered in, else those that the user is bound to.
//
// A plain removal is entered nowhere. A name that is bound to other users counts for nothing, and does not
// make the requester unknown either: it is known to be none of those whom it could protect itself as.
func (c *Comparison) identify() (Requester, error) {
	name := c.review.FieldManager
	if name == "" {
		var err error
		if name, err = c.writer(); err != nil {
			return Requester{}, err
		}
	}
	if name == "" {
		return Requester{principals: c.operator.boundTo(c.review.User)}, nil
	}
	principal := c.operator.Principal(name)
	if !c.operator.mayBe(c.review.User, principal) {
		return Requester{Manager: name, Disbelieved: true}, nil
	}
	return Requester{Manager: name, principals: []string{principal}}, nil
}

// writer returns the manager of the entry that the write is entered in, empty where there is none or
// several may be.
//
// A body may carry managedFields of its own, so an entry that is new, or whose fields or time changed, proves
// nothing. But of a value that changed or came, the API server leaves the claim only to whoever wrote it.
func (c *Comparison) writer() (string, error) {
	found := ""
	for _, e := range c.new.Metadata.ManagedFields {
		before := c.old.Metadata.ManagedFields.find(e.owner())
		if before != nil && before.Time == e.Time && sameFields(e, before) {
			continue
		}
		wrote, err := c.wrote(e, before)
		if err != nil {
			return "", err
		}
		if !wrote {
			continue
		}
		if found != "" && c.operator.Principal(found) != c.operator.Principal(e.Manager) {
			return "", nil
		}
		found = e.Manager
	}
	return found, nil
}

// wrote tells whether a write may be entered in an entry that changed: it is new, or its time moved, or it
// has more fields than before; and a value that it holds changed or came.
func (c *Comparison) wrote(e, before *entry) (bool, error) {
	set, err := e.fields()
	if err != nil {
		return false, err
	}
	if before != nil && before.Time == e.Time {
		had, err := before.fields()
		if err != nil || set.Difference(had).Empty() {
			return false, err
		}
	}
	found := false
	set.Iterate(func(path fieldpath.Path) {
		found = found || !covered(c.driven, path) && c.change(set, path) == Modified
	})
	return found, nil
}
