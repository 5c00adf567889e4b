package ownership

import (
	"encoding/json"
	"fmt"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"sluice.dev/sluice/canary"
)

// Source is where a Mode comes from.
type Source string

const (
	FromWorkload  Source = "workload"
	FromNamespace Source = "namespace"
	FromDefault   Source = "default"
)

// Holdings are the claims of an object and the rules that hold for them, for whoever looks before writing.
type Holdings struct {
	// Mode is the most that comes of taking a claim, and Source is whose annotation says so.
	Mode   Mode
	Source Source
	// Faults are annotations of policy that count for nothing, with the reason.
	Faults []string
	// Holders in the order of managedFields; none where nobody owns anything.
	Holders []Holder
}

// Holder is an owner with what it holds.
type Holder struct {
	Owner
	// Since is when it wrote the last time, zero where that is not known.
	Since time.Time
	// Claims in the order of a tree. They name the structs and items that it holds, too.
	Claims []Claim
}

// Claim is one field that an owner holds.
type Claim struct {
	Path fieldpath.Path
	// Protected: taking it is refused where the mode is enforce.
	Protected bool
	// Ignored: anyone may take it.
	Ignored bool
}

// Claims lists what the owners of an object hold, as Decide would look at it in another's write. The
// annotations of the Namespace are defaults.
func Claims(raw json.RawMessage, namespace map[string]string, o Operator) (Holdings, error) {
	object, err := decodeObject(raw)
	if err != nil {
		return Holdings{}, fmt.Errorf("decoding the object: %w", err)
	}
	c := &Comparison{operator: o, old: object, new: object}
	if err := c.prepare(); err != nil {
		return Holdings{}, err
	}
	r := c.under(namespace)
	h := Holdings{Mode: r.policy.mode, Source: r.source(namespace), Faults: r.faults}
	for _, e := range object.Metadata.ManagedFields {
		holder, err := r.holder(e)
		if err != nil {
			return Holdings{}, err
		}
		h.Holders = append(h.Holders, holder)
	}
	return h, nil
}

func (r *rules) holder(e *entry) (Holder, error) {
	h := Holder{Owner: e.owner()}
	if e.Time != "" {
		since, err := time.Parse(time.RFC3339, e.Time)
		if err != nil {
			return Holder{}, fmt.Errorf("managedFields of %q: time %q is not of RFC 3339", e.Manager, e.Time)
		}
		h.Since = since
	}
	set, err := e.fields()
	if err != nil {
		return Holder{}, err
	}
	set.Iterate(func(path fieldpath.Path) {
		protected := r.protects(e, path.String())
		h.Claims = append(h.Claims, Claim{
			Path: path.Copy(), Protected: protected, Ignored: covered(r.ignored, path) || (h.recordsForce() && !protected),
		})
	})
	return h, nil
}

// source follows policyOf: an annotation that is not valid counts for nothing.
func (r *rules) source(namespace map[string]string) Source {
	source := FromWorkload
	value, ok := r.old.Metadata.Annotations[ModeAnnotation]
	if !ok || namespace[canary.OverridesAnnotation] == "denied" {
		value, source = namespace[ModeAnnotation], FromNamespace
	}
	if _, known := severity[Mode(value)]; !known {
		return FromDefault
	}
	return source
}

// Outcome is what comes of another's plain write that changes the field: with Enforce it is refused.
func (h Holdings) Outcome(c Claim) Mode {
	switch {
	case c.Ignored:
		return Ignore
	case !c.Protected:
		return milder(h.Mode, Warn)
	}
	return h.Mode
}

// Find returns the holder that server-side apply names in the message of a conflict, and its claim to the
// field; false where there is none, as when the object changed meanwhile.
func (h Holdings) Find(conflict, field string) (Holder, Claim, bool) {
	for _, holder := range h.Holders {
		if conflict != "conflict with "+holder.String() {
			continue
		}
		for _, claim := range holder.Claims {
			if claim.Path.String() == field {
				return holder, claim, true
			}
		}
	}
	return Holder{}, Claim{}, false
}
