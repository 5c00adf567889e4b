package canary

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Phase is where a release stands.
type Phase string

const (
	// Progressing: the pods of a step are being made.
	Progressing Phase = "Progressing"
	// Waiting: the pods of a step are available; a person or the step's duration goes on.
	Waiting Phase = "Waiting"
	// Promoting: every step is over and the canary becomes the stable version.
	Promoting Phase = "Promoting"
	// Aborted: the user's template stays in the spec, held, without canary pods.
	Aborted Phase = "Aborted"
	// Reverting: the stable template is back in the spec, the canary is taken away.
	Reverting Phase = "Reverting"
)

// known: a newer version of sluice may have others.
func (p Phase) known() bool {
	return slices.Contains([]Phase{Progressing, Waiting, Promoting, Aborted, Reverting}, p)
}

// Stage divides the phases Promoting and Reverting.
type Stage string

const (
	// Adopting: still paused, maxSurge pinned, the canary ReplicaSet is handed to the Deployment
	// (sequence M), or taken back from it (before sequence C).
	Adopting Stage = "Adopting"
	// Finishing: not held any more; the native controller finishes the rollout.
	Finishing Stage = "Finishing"
)

// Sequence is the way of promotion.
type Sequence string

const (
	// SequenceM: the canary ReplicaSet is adopted as the Deployment's new ReplicaSet.
	SequenceM Sequence = "M"
	// SequenceC: the Deployment rolls out natively while the canary stays as extra capacity.
	SequenceC Sequence = "C"
	// SequenceP: the partition goes down and the StatefulSet replaces its remaining pods natively.
	SequenceP Sequence = "P"
)

// Release is the state of a release, kept as JSON in ReleaseAnnotation of the workload.
type Release struct {
	// ID is the generation of the workload that started the release, or more where that has been the ID
	// of a release before.
	ID    int64 `json:"id"`
	Phase Phase `json:"phase"`
	// Step is the current step, from 1; 0 while the user's own pause delays step one.
	Step     int      `json:"step"`
	Stage    Stage    `json:"stage,omitempty"`
	Sequence Sequence `json:"sequence,omitempty"`
	Stable   Revision `json:"stable"`
	Canary   Revision `json:"canary"`
	// Former is the version that a StatefulSet was being promoted from when this release superseded that
	// promotion: Kubernetes still makes pods of it.
	Former *Revision `json:"former,omitempty"`
	// StableConfig is the digest of the stable version's config where its template has none, or one that
	// cannot be verified; empty where nobody has seen it.
	StableConfig string `json:"stableConfig,omitempty"`
	// Policy is the one in force when the release started.
	Policy Policy `json:"policy"`
	Author string `json:"author,omitempty"`
	// Cause names the config that changed, "configmap/app: color", where that is what the release is about.
	Cause     string     `json:"cause,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
	// Reason is one sentence for people: why the release is in this phase.
	Reason string `json:"reason,omitempty"`
	// Told is when Reason last became what ails the canary's pods.
	Told *time.Time `json:"told,omitempty"`
	// Since is when the controller first saw this phase and step, in UTC with whole seconds; absent
	// until then, since admission reads no clock.
	Since *time.Time `json:"since,omitempty"`
	// Settled is set by the controller one settle time after the hold of a workload that uses config:
	// in that write admission reads the config once more.
	Settled bool `json:"settled,omitempty"`
	// Late is set where the controller came back after a step's deadline before it had asked for the
	// step's pods: they get the whole deadline once more.
	Late bool `json:"late,omitempty"`
	// Restoring is set while the controller brings back a stable ReplicaSet that went to 0 pods.
	Restoring bool `json:"restoring,omitempty"`
	// Lifted is set once the workload was found not held by its spec.
	Lifted bool `json:"lifted,omitempty"`
	// Surge is the maxSurge that admission pins, in pods; 0: none.
	Surge int32 `json:"surge,omitempty"`
	// Gate is the partition of a StatefulSet while pods of a step are being made; nil: closed, which
	// lets nothing of the new version run that does not run yet.
	Gate *int32 `json:"gate,omitempty"`
	Held Held   `json:"held"`
	// Traffic is what was found in front of the workload when the release began, and since; nil: nothing.
	Traffic *Found `json:"traffic,omitempty"`
	// Divided: this release or one that it superseded has had routes, which may be divided still.
	Divided bool `json:"divided,omitempty"`
}

// Revision names a pod template.
type Revision struct {
	// Hash is HashTemplate of the template, which leaves out the digest.
	Hash string `json:"hash"`
	// Digest is the template's config digest, empty where there is none.
	Digest string `json:"digest,omitempty"`
}

// Approval says who let a step go on. Only admission adds one.
type Approval struct {
	Step int    `json:"step"`
	By   string `json:"by"`
	// Full: the steps after it are skipped.
	Full bool `json:"full,omitempty"`
}

// Held is what the user wants in the fields that sluice sets during a release.
type Held struct {
	Paused bool `json:"paused,omitempty"`
	// Stated is the generation that the write makes in which a field manager stated `paused` for the first
	// time: a second invocation for the same write, which finds the field set by sluice, reads Paused.
	Stated int64 `json:"stated,omitempty"`
	// MaxSurge is set only while Surge is.
	MaxSurge json.RawMessage `json:"maxSurge,omitempty"`
	// Partition is that of a StatefulSet.
	Partition int32 `json:"partition,omitempty"`
}

// DecodeRelease returns the release of a workload's annotations, nil where there is none.
func DecodeRelease(annotations map[string]string) (*Release, error) {
	raw, ok := annotations[ReleaseAnnotation]
	if !ok {
		return nil, nil
	}
	var r Release
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return nil, fmt.Errorf("decoding annotation %s: %w", ReleaseAnnotation, err)
	}
	if r.ID == 0 || r.Phase == "" {
		return nil, fmt.Errorf("decoding annotation %s: id or phase is missing", ReleaseAnnotation)
	}
	return &r, nil
}

// Encode returns the release as the annotation's value: the same release gives the same bytes.
func (r *Release) Encode() string {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("this is a bug: encoding a release: %v", err)) // strings, numbers and a decoded raw value
	}
	return string(raw)
}

// Holds tells whether admission keeps the workload held: paused, or behind its partition.
func (r *Release) Holds() bool {
	return r != nil && r.Stage != Finishing
}

// nextID is the ID of a release after this one. Retrying changes no spec, and so no generation of a
// StatefulSet.
func (r *Release) nextID(generation int64) int64 { return max(generation, r.ID) + 1 }

// stableAgain returns the stable version that a template is, nil where it is none.
func (r *Release) stableAgain(hash string) *Revision {
	for _, stable := range []*Revision{&r.Stable, r.Former} {
		if stable != nil && hash == stable.Hash {
			return stable
		}
	}
	return nil
}

// ApprovedBy returns who approved a step, empty where nobody did.
func (r *Release) ApprovedBy(step int) string {
	return r.approval(step).By
}

// approval returns the zero Approval where nobody approved the step.
func (r *Release) approval(step int) Approval {
	for _, a := range r.Approvals {
		if a.Step == step {
			return a
		}
	}
	return Approval{}
}

// ending is what PhaseLabel of the workload says once the release is over, until the next one.
func (r *Release) ending() string {
	if r.Phase == Reverting {
		return "Reverted"
	}
	return "Promoted"
}

// ApproveValue is the value of ApproveAnnotation that approves the current step.
func (r *Release) ApproveValue() string {
	return fmt.Sprintf("%d/%d", r.ID, r.Step)
}

// ApproveFullValue is the value of ApproveAnnotation that approves the current step and skips those
// after it.
func (r *Release) ApproveFullValue() string {
	return r.Name() + "/full"
}

// closed is the partition of a StatefulSet that is held: greater than any ordinal, so that pods of a
// scale-up are stable ones too.
const closed int32 = math.MaxInt32

// partition is what a held StatefulSet's partition has to be.
func (r *Release) partition() int32 {
	if r.Gate == nil {
		return closed
	}
	return *r.Gate
}

// Name is the release's id as it stands in labels and annotations.
func (r *Release) Name() string {
	return strconv.FormatInt(r.ID, 10)
}

// clone returns a copy that shares nothing that the engine changes.
func (r *Release) clone() *Release {
	c := *r
	c.Approvals = append([]Approval(nil), r.Approvals...)
	return &c
}

// WorkloadLabelValue returns the value of WorkloadLabel for a workload's name: the name itself where it
// fits into a label (63 characters), else its beginning and a hash.
func WorkloadLabelValue(name string) string {
	if len(name) <= 63 {
		return name
	}
	return strings.TrimRight(name[:52], "-.") + "-" + shortHash(name)
}
