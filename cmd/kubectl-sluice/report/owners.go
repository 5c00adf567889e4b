package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/cmd/kubectl-sluice/owners"
	"sluice.dev/sluice/webhook/ownership"
)

// Kinds of the structs about ownership.
const (
	FieldOwnersKind    = "FieldOwners"
	FieldConflictsKind = "FieldConflicts"
)

// Values of FieldOwner.PlainWrite: what comes of another's write that changes the field without
// server-side apply.
const (
	// Refused by sluice.
	Refused = "refused"
	// Warned: it goes through, and its author is told.
	Warned = "warned"
	// Ignored: nobody is told. Anyone may take the field, or the mode is ignore.
	Ignored = "ignored"
	// Own: the owner is the one who writes, under another name.
	Own = "own"
	// Unchecked: sluice does not look at writes to the object.
	Unchecked = "unchecked"
	// Unknown: the user may not read what decides it, or the owner changed meanwhile.
	Unknown = "unknown"
)

// FieldOwners is who owns the fields of an object.
type FieldOwners struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Object     Object       `json:"object"`
	Ownership  Ownership    `json:"ownership"`
	Fields     []OwnedField `json:"fields"`
	Notes      []string     `json:"notes,omitempty"`
}

// Object names an object of any kind.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// Word is the kind as kubectl says it: "deployment.apps".
	Word string `json:"-"`
}

// Ownership is the rule that holds for an object's fields.
type Ownership struct {
	// Mode is ignore, warn or enforce, absent where it is not known or nothing is checked.
	Mode string `json:"mode,omitempty"`
	// From is workload, namespace or default: whose annotation says so.
	From string `json:"from,omitempty"`
	// Unchecked is why sluice does not look at writes to the object, absent where it does.
	Unchecked string `json:"unchecked,omitempty"`
}

// OwnedField is a field with those who own it.
type OwnedField struct {
	// Path in the words of server-side apply: .spec.template.spec.containers[name="app"].image
	Path   string       `json:"path"`
	Owners []FieldOwner `json:"owners"`

	Steps fieldpath.Path `json:"-"`
}

// FieldOwner is one owner of a field.
type FieldOwner struct {
	Manager string `json:"manager"`
	// Operation is Apply or Update.
	Operation string `json:"operation"`
	// APIVersion in which it wrote; absent for appliers, who are the same in each.
	APIVersion  string `json:"apiVersion,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	// Since is when the owner wrote last, whatever it was.
	Since *time.Time `json:"since,omitempty"`
	// Protected: enforce refuses to take it.
	Protected bool `json:"protected"`
	// PlainWrite is what another's plain write to the field meets.
	PlainWrite string `json:"plainWrite"`
}

// FieldConflicts is what an apply of files would conflict with.
type FieldConflicts struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// FieldManager is who would apply.
	FieldManager string            `json:"fieldManager"`
	Items        []ObjectConflicts `json:"items"`
}

// ObjectConflicts are those of one object.
type ObjectConflicts struct {
	Object    Object    `json:"object"`
	Ownership Ownership `json:"ownership"`
	// Exists is false where the object is new, so that nobody owns anything.
	Exists    bool            `json:"exists"`
	Conflicts []FieldConflict `json:"conflicts"`
	Notes     []string        `json:"notes,omitempty"`
}

// FieldConflict is a field that the file has otherwise than its owner.
type FieldConflict struct {
	Field      string `json:"field"`
	FieldOwner `json:",inline"`
}

// Owners returns who owns the fields of an object, in the order of a tree.
func Owners(o *owners.Object) *FieldOwners {
	r := &FieldOwners{
		APIVersion: APIVersion, Kind: FieldOwnersKind,
		Object: objectOf(o.Ref), Ownership: ownershipOf(o), Fields: []OwnedField{}, Notes: notesOf(o),
	}
	index := map[string]int{}
	for _, holder := range o.Holders {
		for _, claim := range holder.Claims {
			key := keyOf(claim.Path)
			at, ok := index[key]
			if !ok {
				at = len(r.Fields)
				index[key] = at
				r.Fields = append(r.Fields, OwnedField{Path: claim.Path.String(), Steps: claim.Path})
			}
			r.Fields[at].Owners = append(r.Fields[at].Owners, ownerOf(holder, claim, plainWrite(o, claim)))
		}
	}
	slices.SortFunc(r.Fields, func(a, b OwnedField) int { return a.Steps.Compare(b.Steps) })
	return r
}

// keyOf tells paths apart that read alike: names may contain dots.
func keyOf(path fieldpath.Path) string {
	steps := make([]string, len(path))
	for i, step := range path {
		steps[i] = step.String()
	}
	return strings.Join(steps, "\n")
}

// Conflicts returns what an apply of an object's file conflicts with.
func Conflicts(o *owners.Object, found []owners.Conflict, manager string) ObjectConflicts {
	item := ObjectConflicts{Object: objectOf(o.Ref), Exists: !o.Missing, Conflicts: []FieldConflict{}}
	if o.Missing {
		return item
	}
	item.Ownership = ownershipOf(o)
	if len(found) > 0 {
		item.Notes = notesOf(o)
	}
	for _, conflict := range found {
		holder, claim, ok := o.Find(conflict.Message, conflict.Field)
		if !ok { // it came after the object was read
			owner := FieldOwner{Manager: strings.TrimPrefix(conflict.Message, "conflict with "), PlainWrite: Unknown}
			item.Conflicts = append(item.Conflicts, FieldConflict{Field: conflict.Field, FieldOwner: owner})
			continue
		}
		meets := plainWrite(o, claim)
		if defaults := (ownership.Operator{}); meets != Unchecked && defaults.Principal(manager) == defaults.Principal(holder.Manager) {
			meets = Own
		}
		item.Conflicts = append(item.Conflicts, FieldConflict{Field: conflict.Field, FieldOwner: ownerOf(holder, claim, meets)})
	}
	slices.SortFunc(item.Conflicts, func(a, b FieldConflict) int { // the API server's causes come in any order
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Manager, b.Manager), cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Subresource, b.Subresource))
	})
	return item
}

// Refused counts the conflicts that a plain write would be refused for.
func (c *FieldConflicts) Refused() int {
	refused := 0
	for _, item := range c.Items {
		for _, conflict := range item.Conflicts {
			if conflict.PlainWrite == Refused {
				refused++
			}
		}
	}
	return refused
}

func ownerOf(holder ownership.Holder, claim ownership.Claim, meets string) FieldOwner {
	o := FieldOwner{
		Manager: holder.Manager, Operation: holder.Operation, APIVersion: holder.APIVersion, Subresource: holder.Subresource,
		Protected: claim.Protected && !claim.Ignored, PlainWrite: meets,
	}
	if !holder.Since.IsZero() {
		since := holder.Since.UTC()
		o.Since = &since
	}
	return o
}

func plainWrite(o *owners.Object, claim ownership.Claim) string {
	switch {
	case o.Unchecked != "":
		return Unchecked
	case claim.Ignored:
		return Ignored
	case o.Unread != nil:
		return Unknown
	}
	switch o.Outcome(claim) {
	case ownership.Enforce:
		return Refused
	case ownership.Warn:
		return Warned
	case ownership.Ignore:
		return Ignored
	}
	return Unknown
}

func objectOf(ref owners.Ref) Object {
	version, kind := ref.Mapping.GroupVersionKind.ToAPIVersionAndKind()
	return Object{APIVersion: version, Kind: kind, Namespace: ref.Namespace, Name: ref.Name, Word: owners.KindWord(ref.Mapping)}
}

func ownershipOf(o *owners.Object) Ownership {
	switch {
	case o.Unchecked != "":
		return Ownership{Unchecked: o.Unchecked}
	case o.Unread != nil:
		return Ownership{}
	}
	return Ownership{Mode: string(o.Mode), From: string(o.Source)}
}

func notesOf(o *owners.Object) []string {
	if o.Unchecked != "" {
		return nil
	}
	notes := slices.Clone(o.Faults)
	if o.Unread != nil {
		notes = append(notes, o.Unread.Error())
	}
	return notes
}

// IsSame tells whether two are one owner.
func (o FieldOwner) IsSame(other FieldOwner) bool {
	return o.Manager == other.Manager && o.Operation == other.Operation && o.APIVersion == other.APIVersion && o.Subresource == other.Subresource
}

// Alike tells whether two are one owner whose claims meet the same.
func (o FieldOwner) Alike(other FieldOwner) bool {
	return o.IsSame(other) && o.Protected == other.Protected && o.PlainWrite == other.PlainWrite
}
