package canary

import (
	"encoding/json"
)

// Operation is what a request does.
type Operation string

const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
)

// Review is one admission request for a workload.
type Review struct {
	Operation Operation
	Kind      string    // Deployment, StatefulSet or DaemonSet
	Old       *Workload // nil on Create
	New       *Workload
	// User is who asks; Sluice tells that it is sluice's own ServiceAccount.
	User   string
	Sluice bool
	// FieldManager is the request's own, empty where the client names none.
	FieldManager string
}

// Needs is what a decision needs to know beyond the two objects.
type Needs struct {
	// Namespace: the labels and annotations of the Namespace.
	Namespace bool
	// Digest: the digest of the config that the new template refers to, read live.
	Digest bool
	// Verbs that the user may have on the workload.
	Verbs []string
}

// World is what was read for Needs.
type World struct {
	NamespaceAnnotations map[string]string
	// OptedOut: the Namespace does not carry EnabledLabel "true" (any more).
	OptedOut bool
	// Digest of the new template, empty where it refers to no config. Content that KnownConfig knows has
	// the digest that stands for it there.
	Digest string
	// Unpinnable is why Digest cannot become the template's, although its policy says that it is to be pinned: empty where
	// it can.
	Unpinnable string
	// ConfigMissing: config that pods wait for is missing, and so there is no digest.
	ConfigMissing bool
	// Allowed answers Needs.Verbs.
	Allowed map[string]bool
}

// Verdict classifies decisions for metrics and tests.
type Verdict string

const (
	Unchanged  Verdict = "Unchanged"  // nothing to decide
	Carried    Verdict = "Carried"    // sluice's state and fields carried over or re-asserted
	Native     Verdict = "Native"     // rolls out without a canary, with the reason in a warning
	Hold       Verdict = "Held"       // a release starts
	Superseded Verdict = "Superseded" // a release starts in place of another
	Reverted   Verdict = "Reverted"   // the stable template came back
	Approved   Verdict = "Approved"
	AbortedBy  Verdict = "Aborted"
	Retried    Verdict = "Retried"
	Advanced   Verdict = "Advanced" // sluice's own transition
	Denied     Verdict = "Denied"
)

// Decision is the answer to a Review.
type Decision struct {
	Verdict Verdict
	// Reason of a Native or Denied verdict, empty for the others.
	Reason Reason
	// Message says why the request is refused and what to do next; empty unless Denied.
	Message string
	// Warnings are shown to the user.
	Warnings []string
	// Want is what the object has to hold afterwards; nil: the object as it came.
	Want *Want
}

// Want lists values that the admitted object must have. Whoever builds the patch emits only what
// differs, so an already handled object gets an empty patch.
type Want struct {
	// Paused, MaxSurge and Partition are spec fields; nil: as they came.
	Paused    *bool
	MaxSurge  json.RawMessage
	Partition *int32 // StatefulSet
	// Annotations and Labels of the workload; a nil value: absent.
	Annotations map[string]*string
	Labels      map[string]*string
	// Digest is the template's config digest, empty: absent; nil: as it came.
	Digest *string
}

func deny(reason Reason, message string) Decision {
	return Decision{Verdict: Denied, Reason: reason, Message: message}
}

// Changes tells whether the object as it came differs from what is wanted.
func (d Decision) Changes(w *Workload) (bool, error) {
	if d.Want == nil {
		return false, nil
	}
	if p := d.Want.Paused; p != nil && *p != w.Spec.Paused {
		return true, nil
	}
	if s := d.Want.MaxSurge; s != nil && string(s) != string(w.Spec.Strategy.MaxSurge()) {
		return true, nil
	}
	if p := d.Want.Partition; p != nil && *p != w.Spec.UpdateStrategy.Partition() {
		return true, nil
	}
	if differ(d.Want.Annotations, w.Metadata.Annotations) || differ(d.Want.Labels, w.Metadata.Labels) {
		return true, nil
	}
	if d.Want.Digest == nil {
		return false, nil
	}
	digest, err := TemplateDigest(w.Spec.Template)
	return digest != *d.Want.Digest, err
}

// Sets tells whether the template is to have that digest of its config afterwards.
func (d Decision) Sets(digest string) bool {
	return d.Want != nil && d.Want.Digest != nil && *d.Want.Digest == digest
}

func differ(want map[string]*string, have map[string]string) bool {
	for key, value := range want {
		current, ok := have[key]
		if ok != (value != nil) || (ok && current != *value) {
			return true
		}
	}
	return false
}
