package ownership

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Review is one write to an existing object, as a validating webhook is sent it.
type Review struct {
	// Old is the stored object, New the one that is going to be stored; the managedFields of New already
	// show the write.
	Old, New json.RawMessage
	// User is who asks; Sluice tells that it is sluice's own ServiceAccount.
	User   string
	Sluice bool
	// FieldManager is the request's own, empty where the client names none.
	FieldManager string
	// Resource is the plural with its group, as RBAC has it: "deployments.apps".
	Resource string
}

// Verdict is the answer to a Review.
type Verdict string

const (
	Allowed Verdict = "Allowed"
	// Warned: allowed, and Warnings say what the write takes.
	Warned Verdict = "Warned"
	// Denied: Message and Causes say what the write would take, and the ways out.
	Denied Verdict = "Denied"
	// Forced: allowed, since it was asked for by somebody who may.
	Forced Verdict = "Forced"
)

// Reason is why a write was not compared at all, or empty.
type Reason string

const (
	BeingDeleted Reason = "BeingDeleted"
	Exempt       Reason = "Exempt"
	Ignored      Reason = "Ignored"
	Untracked    Reason = "Untracked"
)

// How an owner loses a field.
type How string

const (
	// Modified: the value is another one, or there was none.
	Modified How = "Modified"
	// Removed: the field is gone.
	Removed How = "Removed"
	// Applied: modified by server-side apply, which lets it through only with force.
	Applied How = "Applied"
	// Rewritten: no value changed, but the claim is gone from managedFields, as the next write could use.
	Rewritten How = "Rewritten"
	// Untraced: the value changed and the owner still holds the field, so nothing says who did it.
	Untraced How = "Untraced"
)

// managedFieldsField stands for all claims that an owner loses by rewriting.
const managedFieldsField = ".metadata.managedFields"

// Conflict is a field that a write takes from its owner.
type Conflict struct {
	Owner Owner
	// Field is the path in the words of server-side apply.
	Field string
	How   How
	// Protected: the owner's claim to this field is one that is enforced.
	Protected bool
}

// Requester is who asks, as far as a write tells.
type Requester struct {
	// Manager is the name it goes by, empty where nothing tells.
	Manager string
	// Disbelieved: the name is bound to other users, so it counts for nothing.
	Disbelieved bool

	principals []string
}

// Known tells whether anything tells who asks.
func (r Requester) Known() bool { return r.Manager != "" || len(r.principals) > 0 }

func (r Requester) is(principal string) bool {
	for _, p := range r.principals {
		if p == principal {
			return true
		}
	}
	return false
}

// Decision is the answer to a Review.
type Decision struct {
	Verdict Verdict
	// Object is what is written, or scaled.
	Object corev1.ObjectReference
	// Mode is the one that holds for the object.
	Mode Mode
	// Reason is set where nothing was compared.
	Reason    Reason
	Requester Requester
	// Refused are the conflicts that Message lists: empty unless Denied. Forced are those that would be
	// refused but for the permission, Warned those that Warnings tell, and Audited those that nothing comes
	// of. All are sorted by owner.
	Refused, Forced, Warned, Audited []Conflict
	// Loosened are the keys of policy that the write changes such that less is protected, where the mode is
	// enforce.
	Loosened []string
	// Warnings are for the user, each shorter than the 256 characters at which the API server cuts.
	Warnings []string
	// ForceAsked: the write says that it means to take what it takes, or takes nothing but claims, which nobody
	// does by mistake.
	ForceAsked bool

	subject      subject
	user         string
	notPermitted bool
}

// NeedsPermission tells whether the answer depends on whether the user has VerbForce: see Resolve.
func (d Decision) NeedsPermission() bool {
	return d.Verdict == Denied && (d.ForceAsked || len(d.Loosened) > 0)
}

// Resolve turns a Decision that needs the permission into the final answer.
func (d Decision) Resolve(permitted bool) Decision {
	switch {
	case !d.NeedsPermission():
		return d
	case !permitted:
		d.notPermitted = true
		return d
	case len(d.Refused) > 0 && !d.ForceAsked:
		d.Loosened = nil
		return d
	}
	d.Verdict = Forced
	d.Warnings = append(takenWarnings(d.Refused, "by force"), d.Warnings...)
	if len(d.Loosened) > 0 {
		d.Warnings = append(d.Warnings, "sluice: less of "+d.subject.target()+" is protected with the new "+strings.Join(d.Loosened, ", "))
	}
	d.Forced, d.Refused = d.Refused, nil
	return d
}
