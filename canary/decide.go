package canary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// change is what one update does, as far as its two objects tell.
type change struct {
	Review
	release      *Release // of the old object, nil where there is none
	sameTemplate bool     // but for the digest
	oldHash      string   // set where the templates differ
	newHash      string
}

// Ask says what Decide needs to know about the review.
func Ask(r Review) (Needs, error) {
	if r.Operation == Create {
		return Needs{Namespace: true, Digest: true, Verbs: bypassVerbs(nil, r.New)}, nil
	}
	if untouchable(r) {
		return Needs{}, nil
	}
	c, err := classify(r)
	if err != nil {
		return Needs{}, err
	}
	if r.Sluice {
		return Needs{Digest: c.settles()}, nil
	}
	needs := Needs{Verbs: bypassVerbs(r.Old, r.New)}
	if c.sameTemplate {
		needs.Namespace = c.retries()
		needs.Verbs = append(needs.Verbs, c.driveVerbs()...)
		return needs, nil
	}
	needs.Namespace = true
	needs.Digest = !c.reverts() && (c.release == nil || !c.resumesPromotion())
	return needs, nil
}

// Decide answers the review. It is pure: the same review and world give the same decision. An error
// means that the objects could not be read.
func Decide(r Review, w World) (Decision, error) {
	if r.Operation == Create {
		return decideCreate(r, w), nil
	}
	if untouchable(r) {
		return Decision{Verdict: Unchanged}, nil
	}
	c, err := classify(r)
	if err != nil {
		return Decision{}, err
	}
	if r.Sluice {
		return c.advance(w)
	}
	if message := c.guard(w); message != "" {
		return deny(message), nil
	}
	switch {
	case c.release == nil && c.sameTemplate:
		return c.carry(Unchanged, nil)
	case c.release == nil:
		return c.start(w)
	case c.sameTemplate:
		return c.drive(w)
	case c.reverts():
		return c.revert()
	case c.resumesPromotion():
		return c.resumePromotion()
	default:
		return c.supersede(w)
	}
}

// untouchable: an object that is being deleted, or a write that the API server will answer with 409
// since it names an older resourceVersion.
func untouchable(r Review) bool {
	version := r.New.Metadata.ResourceVersion
	return r.Old.Metadata.DeletionTimestamp != "" ||
		(version != "" && version != r.Old.Metadata.ResourceVersion)
}

func classify(r Review) (change, error) {
	c := change{Review: r}
	if r.Kind == Deployment {
		// A state that cannot be read was not written by sluice; it counts as none and is removed.
		c.release, _ = DecodeRelease(r.Old.Metadata.Annotations)
	}
	if bytes.Equal(r.Old.Spec.Template, r.New.Spec.Template) {
		c.sameTemplate = true
		return c, nil
	}
	var err error
	if c.oldHash, err = r.Old.templateHash(); err != nil {
		return c, err
	}
	if c.newHash, err = r.New.templateHash(); err != nil {
		return c, err
	}
	c.sameTemplate = c.oldHash == c.newHash
	return c, nil
}

// reverts: the stable template comes back.
func (c change) reverts() bool {
	return c.release != nil && !c.sameTemplate && c.newHash == c.release.Stable.Hash
}

// settles: sluice's own write that asks to read the config once more, before the canary is created.
func (c change) settles() bool {
	next, err := DecodeRelease(c.New.Metadata.Annotations)
	return err == nil && next != nil && next.Settled && c.release != nil && !c.release.Settled
}

// bypassVerbs returns VerbBypass where the write opts the workload out or disables its canaries. On
// CREATE old is nil.
func bypassVerbs(old, new *Workload) []string {
	var labels, annotations map[string]string
	if old != nil {
		labels, annotations = old.Metadata.Labels, old.Metadata.Annotations
	}
	optsOut := new.Metadata.Labels[EnabledLabel] == "false" && labels[EnabledLabel] != "false"
	disables := new.Metadata.Annotations[CanaryAnnotation] == disabled && annotations[CanaryAnnotation] != disabled
	if optsOut || disables {
		return []string{VerbBypass}
	}
	return nil
}

// guard returns why the update is refused whatever it does to the template, empty where it is not.
func (c change) guard(w World) string {
	if len(bypassVerbs(c.Old, c.New)) > 0 && !w.Allowed[VerbBypass] {
		return c.notPermitted(VerbBypass, "opt out or disable the canaries")
	}
	if policyChanged(c.Old, c.New) {
		if err := Validate(c.New.Metadata.Annotations); err != nil {
			return c.refused("its policy is not valid", err.Error())
		}
	}
	if c.release == nil {
		return ""
	}
	if c.New.Spec.Strategy.Type != c.Old.Spec.Strategy.Type {
		return c.strategyMessage()
	}
	if c.New.Replicas() == 0 && c.Old.Replicas() != 0 {
		return ScaleToZeroMessage(c.New.Metadata.Namespace, c.New.Metadata.Name, c.release)
	}
	return ""
}

func policyChanged(old, new *Workload) bool {
	for _, key := range policyKeys {
		if old.Metadata.Annotations[key] != new.Metadata.Annotations[key] {
			return true
		}
	}
	return false
}

// decideCreate lets a first version roll out natively, with its digest. State that the object carries,
// as a backup or a copy does, is taken off and what it says that sluice set is undone.
func decideCreate(r Review, w World) Decision {
	c := change{Review: r}
	if len(bypassVerbs(nil, r.New)) > 0 && !w.Allowed[VerbBypass] {
		return deny(c.notPermitted(VerbBypass, "disable the canaries"))
	}
	s, err := settings(w.NamespaceAnnotations, r.New)
	if err != nil {
		return deny(c.refused("its policy is not valid", err.Error()))
	}
	d := Decision{Verdict: Native, Want: stateless(), Warnings: overriddenWarning(s)}
	forgetDrivers(d.Want, "")
	digest := s.digest(w)
	d.Want.Digest = &digest
	if r.Kind != Deployment {
		return d
	}
	if !s.Disabled {
		d.Warnings = append(d.Warnings, c.nativeWarning("it is new"))
	}
	if carried, _ := DecodeRelease(r.New.Metadata.Annotations); carried != nil {
		undo(d.Want, carried, r.New)
	}
	return d
}

// undo gives back the fields that a release had set when its object was copied.
func undo(want *Want, carried *Release, w *Workload) {
	if carried.Holds() && w.Spec.Paused {
		want.Paused = &carried.Held.Paused
	}
	if carried.Surge > 0 && w.Spec.Strategy.MaxSurge() != nil {
		want.MaxSurge = carried.Held.MaxSurge
	}
}

func (s Settings) digest(w World) string {
	if s.IgnoreConfig {
		return ""
	}
	return w.Digest
}

// start decides on a new template where there is no release: held, or native by the old object.
func (c change) start(w World) (Decision, error) {
	s, err := c.settings(w)
	if err != nil {
		return deny(c.refused("its policy is not valid", err.Error())), nil
	}
	digest := s.digest(w)
	if reason := c.native(s, w); reason != "" {
		return Decision{
			Verdict:  Native,
			Warnings: append(overriddenWarning(s), c.nativeWarning(reason)),
			Want:     withDigest(stateless(), digest),
		}, nil
	}
	old, err := TemplateDigest(c.Old.Spec.Template)
	if err != nil {
		return Decision{}, err
	}
	next := c.newRelease(s, Revision{Hash: c.oldHash, Digest: old}, digest)
	next.Held.Paused = c.startsPaused(next.ID)
	if next.Held.Paused {
		next.Step = 0
	}
	return c.held(Hold, next, s), nil
}

// startsPaused tells whether the user's own pause is in force when a release starts. Once admission
// has set the field itself (a second invocation), its state says what the user had sent.
func (c change) startsPaused(id int64) bool {
	if incoming, _ := DecodeRelease(c.New.Metadata.Annotations); incoming != nil && incoming.ID == id {
		return incoming.Held.Paused
	}
	return c.New.Spec.Paused
}

func (c change) newRelease(s Settings, stable Revision, digest string) *Release {
	return &Release{
		ID:     c.Old.Metadata.Generation + 1,
		Phase:  Progressing,
		Step:   1,
		Stable: stable,
		Canary: Revision{Hash: c.newHash, Digest: digest},
		Policy: s.Policy,
		Author: c.User,
	}
}

// revert takes the stable template back, with the digest that its ReplicaSet has, so that no stable pod
// is touched.
func (c change) revert() (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	next.Phase, next.Since, next.Reason = Reverting, nil, "the stable version was applied again"
	if next.Holds() {
		next.Stage = ""
	}
	d := c.with(Reverted, next)
	d.Want.Digest = &next.Stable.Digest
	d.Warnings = []string{c.revertWarning()}
	return d, nil
}

// resumesPromotion: a version that was approved and promoted, then reverted natively, comes back
// before that is over.
func (c change) resumesPromotion() bool {
	return c.release.Phase == Reverting && !c.release.Holds() && c.newHash == c.release.Canary.Hash
}

func (c change) resumePromotion() (Decision, error) {
	next := c.release.clone()
	next.Held = c.wishes()
	next.Phase, next.Since, next.Reason = Promoting, nil, "the approved version was applied again"
	d := c.with(Carried, next)
	d.Want.Digest = &next.Canary.Digest
	d.Warnings = []string{c.resumePromotionWarning()}
	return d, nil
}

// supersede starts a release in place of another. The stable revision stays, unless the native
// controllers were already promoting the other one: then that is the stable one.
func (c change) supersede(w World) (Decision, error) {
	s, err := c.settings(w)
	if err != nil {
		return deny(c.refused("its policy is not valid", err.Error())), nil
	}
	stable := c.release.Stable
	if c.release.Phase == Promoting && !c.release.Holds() {
		stable = c.release.Canary
	}
	next := c.newRelease(s, stable, s.digest(w))
	next.Held = c.wishes()
	next.Surge = c.release.Surge
	if c.disabled(s, w) {
		next.Phase, next.Stage, next.Sequence, next.Surge = Promoting, Finishing, SequenceC, 0
		next.Reason = "canaries are disabled: it rolls out natively"
		d := c.with(Native, next)
		d.Want.Digest = &next.Canary.Digest
		d.Warnings = append(overriddenWarning(s), c.nativeWarning("its canaries are disabled"))
		return d, nil
	}
	if pausedByUser := c.release.Step == 0 || (!c.release.Holds() && c.Old.Spec.Paused); pausedByUser && next.Held.Paused {
		next.Step = 0
	}
	return c.held(Superseded, next, s), nil
}

// held is the decision to hold a new template as a release.
func (c change) held(verdict Verdict, next *Release, s Settings) Decision {
	d := c.with(verdict, next)
	forgetDrivers(d.Want, "")
	d.Want.Digest = &next.Canary.Digest
	d.Warnings = append(overriddenWarning(s), c.holdWarning(next))
	return d
}

// settings resolves the policy by the old object; by the new one where the old one's is not valid,
// which only happens to what was written before the Namespace opted in.
func (c change) settings(w World) (Settings, error) {
	if err := Validate(c.Old.Metadata.Annotations); err != nil {
		return settings(w.NamespaceAnnotations, c.New)
	}
	return settings(w.NamespaceAnnotations, c.Old)
}

// advance accepts sluice's own transition and derives the spec from it. The resourceVersion that each
// of its writes carries makes sure that it was decided on this very object.
func (c change) advance(w World) (Decision, error) {
	next, err := DecodeRelease(c.New.Metadata.Annotations)
	if err != nil {
		return deny(c.refused("sluice wrote a state that cannot be read", err.Error())), nil
	}
	if !c.sameTemplate || (c.release == nil && next != nil) {
		return deny(c.refused("sluice's controllers neither change templates nor start releases", "this is a bug")), nil
	}
	if c.release == nil || next == nil {
		return c.carry(Advanced, nil)
	}
	if next.Surge > 0 && c.release.Surge == 0 {
		next.Held.MaxSurge = c.Old.Spec.Strategy.MaxSurge()
	}
	d, err := c.carry(Advanced, next)
	if c.settles() {
		next.Canary.Digest = w.Digest
		d.Want = withDigest(c.with(Advanced, next).Want, w.Digest)
	}
	return d, err
}

// carry keeps the template's digest and sets the state; nil: there is no release afterwards.
func (c change) carry(verdict Verdict, next *Release) (Decision, error) {
	d := c.with(verdict, next)
	if bytes.Equal(c.Old.Spec.Template, c.New.Spec.Template) {
		return d, nil
	}
	digest, err := TemplateDigest(c.Old.Spec.Template)
	d.Want.Digest = &digest
	return d, err
}

// with sets the state and the spec fields that follow from it.
func (c change) with(verdict Verdict, next *Release) Decision {
	want := stateless()
	if next != nil {
		value, active := next.Encode(), "true"
		want.Annotations[ReleaseAnnotation] = &value
		want.Labels[ActiveLabel] = &active
	}
	want.Paused = c.paused(next)
	want.MaxSurge = c.maxSurge(next)
	return Decision{Verdict: verdict, Want: want}
}

// paused returns the value of spec.paused after the request, nil where it is the user's.
func (c change) paused(next *Release) *bool {
	yes, no := true, false
	switch {
	case next.Holds():
		return &yes
	case next != nil && (c.release.Holds() || c.release.ID != next.ID):
		return &no
	case next == nil && c.release.Holds():
		return &c.release.Held.Paused
	case next == nil && c.release != nil && c.release.Held.Paused:
		return &yes
	}
	return nil
}

// maxSurge returns the raw value of maxSurge after the request, nil where it is the user's.
func (c change) maxSurge(next *Release) json.RawMessage {
	switch {
	case c.New.Spec.Strategy.RollingUpdate == nil:
		return nil
	case next != nil && next.Surge > 0:
		return json.RawMessage(strconv.Itoa(int(next.Surge)))
	case c.release != nil && c.release.Surge > 0 && c.Sluice:
		return c.release.Held.MaxSurge
	case c.release != nil && c.release.Surge > 0:
		return c.wishes().MaxSurge
	}
	return nil
}

func stateless() *Want {
	return &Want{
		Annotations: map[string]*string{ReleaseAnnotation: nil},
		Labels:      map[string]*string{ActiveLabel: nil},
	}
}

func withDigest(want *Want, digest string) *Want {
	want.Digest = &digest
	return want
}

func (c change) refused(what, why string) string {
	return fmt.Sprintf("sluice refuses this change of %s: %s: %s", c.subject(), what, why)
}
