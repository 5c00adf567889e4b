package ownership

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

const (
	apply    = string(metav1.ManagedFieldsOperationApply)
	update   = string(metav1.ManagedFieldsOperationUpdate)
	scale    = "scale"
	fieldsV1 = "FieldsV1"
)

// Owner is who holds claims: what tells entries of managedFields apart.
type Owner struct {
	Manager string
	// Operation is Apply or Update.
	Operation string
	// APIVersion counts for Update only: an applier is the same in each version.
	APIVersion string
	// Subresource through which it wrote, empty for the object itself.
	Subresource string
}

// recordsForce: what it holds is the record of a write by force, which is nobody's claim unless protected.
func (o Owner) recordsForce() bool { return o.Manager == ForceManager }

// String names the owner as server-side apply does.
func (o Owner) String() string {
	s := fmt.Sprintf("%q", o.Manager)
	if o.Subresource != "" {
		s += fmt.Sprintf(" with subresource %q", o.Subresource)
	}
	if o.Operation == update {
		s += " using " + o.APIVersion
	}
	return s
}

// identity is the text by which server-side apply sorts owners.
func (o Owner) identity() string {
	text, err := json.Marshal(metav1.ManagedFieldsEntry{
		Manager: o.Manager, Operation: metav1.ManagedFieldsOperationType(o.Operation),
		APIVersion: o.APIVersion, Subresource: o.Subresource,
	})
	if err != nil {
		return o.Manager
	}
	return string(text)
}

// entry is one of an object's managedFields. Its set is parsed only when it is asked for: most writes
// change one or two entries of many, and the bytes of the others are the same before and after.
type entry struct {
	Manager     string          `json:"manager"`
	Operation   string          `json:"operation"`
	APIVersion  string          `json:"apiVersion"`
	Time        string          `json:"time"`
	Subresource string          `json:"subresource"`
	FieldsType  string          `json:"fieldsType"`
	FieldsV1    json.RawMessage `json:"fieldsV1"`

	set *fieldpath.Set
	// together are entries to be parsed at once.
	together *[]*entry
}

func (e *entry) owner() Owner {
	o := Owner{Manager: e.Manager, Operation: e.Operation, APIVersion: e.APIVersion, Subresource: e.Subresource}
	if e.Operation == apply {
		o.APIVersion = ""
	}
	return o
}

func (e *entry) validate() error {
	switch {
	case e.Operation != apply && e.Operation != update:
		return fmt.Errorf("managedFields of %q: operation %q is neither Apply nor Update", e.Manager, e.Operation)
	case e.FieldsType != fieldsV1:
		return fmt.Errorf("managedFields of %q: fieldsType %q is not FieldsV1", e.Manager, e.FieldsType)
	}
	return nil
}

// fields parses the set. Sets are shared and must not be changed.
func (e *entry) fields() (*fieldpath.Set, error) {
	if e.set != nil {
		return e.set, nil
	}
	all := []*entry{e}
	if e.together != nil {
		all = *e.together
	}
	if err := parse(all); err != nil {
		return nil, err
	}
	return e.set, nil
}

// parse parses the sets of several entries as one: each call of the parser costs a buffer of 4 KiB.
func parse(all []*entry) error {
	text := []byte{'{'}
	for i, e := range all {
		if len(e.FieldsV1) == 0 {
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(text, `"f:`...)
		text = strconv.AppendInt(text, int64(i), 10)
		text = append(append(text, `":`...), e.FieldsV1...)
	}
	var sets fieldpath.Set
	if err := sets.FromJSON(bytes.NewReader(append(text, '}'))); err != nil {
		return fmt.Errorf("parsing managedFields: %w", err)
	}
	for i, e := range all {
		if set, ok := sets.Children.Get(fieldpath.FieldNameElement(strconv.Itoa(i))); ok {
			e.set = set
		} else {
			e.set = &fieldpath.Set{}
		}
	}
	return nil
}

// has tells whether the entry holds the path.
func (e *entry) has(path fieldpath.Path) (bool, error) {
	set, err := e.fields()
	return err == nil && set.Has(path), err
}

// sameFields tells whether two entries hold the same, without parsing them.
func sameFields(a, b *entry) bool { return a == b || b != nil && bytes.Equal(a.FieldsV1, b.FieldsV1) }

// entries are the managedFields of an object.
type entries []*entry

// find returns the entry of an owner, nil where there is none.
func (es entries) find(o Owner) *entry {
	for _, e := range es {
		if e.owner() == o {
			return e
		}
	}
	return nil
}

// leaf tells whether a set holds nothing below the path.
func leaf(set *fieldpath.Set, path fieldpath.Path) bool {
	for _, element := range path {
		below, ok := set.Children.Get(element)
		if !ok {
			return true
		}
		set = below
	}
	return set.Empty()
}

// parseTogether has those entries parsed at once that are not the same before and after.
func parseTogether(before, after entries) {
	var differ []*entry
	for _, e := range before {
		if now := after.find(e.owner()); !sameFields(e, now) {
			differ = append(differ, e)
			if now != nil {
				differ = append(differ, now)
			}
		}
	}
	for _, e := range after {
		if before.find(e.owner()) == nil {
			differ = append(differ, e)
		}
	}
	for _, e := range differ {
		e.together = &differ
	}
}
