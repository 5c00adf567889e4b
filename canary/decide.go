package canary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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
		return Needs{Namespace: c.notices(), Digest: c.settles() || c.notices()}, nil
	}
	needs := Needs{Verbs: bypassVerbs(r.Old, r.New)}
	if c.withdraws() {
		needs.Namespace, needs.Verbs = true, []string{VerbBypass}
	}
	if c.sameTemplate {
		needs.Namespace = needs.Namespace || c.retries()
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
	d, err := decide(r, w)
	if w.Unpinnable != "" && d.Sets(w.Digest) {
		return Unpinned(r, w.Unpinnable), err
	}
	if d.Want != nil && !r.Sluice {
		keepSeen(r, d.Want)
	}
	return d, err
}

// Unpinned refuses what the snapshots cannot be made for.
func Unpinned(r Review, why string) Decision {
	return deny(NotPinned, change{Review: r}.refused("its config cannot be pinned", why))
}

// keepSeen keeps what the controller has seen of the config, which is nobody else's to write.
func keepSeen(r Review, want *Want) {
	if _, decided := want.Annotations[ConfigSeenAnnotation]; decided {
		return
	}
	var before *string
	if r.Old != nil {
		if seen, ok := r.Old.Metadata.Annotations[ConfigSeenAnnotation]; ok {
			before = &seen
		}
	}
	if after, ok := r.New.Metadata.Annotations[ConfigSeenAnnotation]; ok != (before != nil) || (ok && after != *before) {
		want.Annotations[ConfigSeenAnnotation] = before
	}
}

func decide(r Review, w World) (Decision, error) {
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
	switch {
	case c.notices():
		return c.notice(w)
	case r.Sluice:
		return c.advance(w)
	}
	if reason, message := c.guard(w); reason != "" {
		return deny(reason, message), nil
	}
	switch {
	case c.release == nil && c.sameTemplate:
		return c.carry(Unchanged, nil)
	case c.release == nil:
		return c.start(w)
	case c.sameTemplate:
		return c.drive(w)
	case c.reverts():
		return c.revert(c.release.stableAgain(c.newHash))
	case c.resumesPromotion():
		return c.resumePromotion()
	default:
		return c.supersede(w)
	}
}

// untouchable: an object that is being deleted, or a write that the API server will answer with 409
// since it names another resourceVersion.
func untouchable(r Review) bool {
	return r.Old.Metadata.DeletionTimestamp != "" || conflicts(r.Old, r.New)
}

// conflicts compares resourceVersions as the API server does, as numbers: "010" is 10, and 0 stands for
// any version. Source: k8s.io/apiserver pkg/storage/api_object_versioner.go, pkg/registry/generic/registry/store.go.
func conflicts(old, new *Workload) bool {
	sent, err := strconv.ParseUint(new.Metadata.ResourceVersion, 10, 64)
	if err != nil || sent == 0 {
		return false
	}
	stored, err := strconv.ParseUint(old.Metadata.ResourceVersion, 10, 64)
	return err == nil && sent != stored
}

func classify(r Review) (change, error) {
	c := change{Review: r}
	if Holdable(r.Kind) && r.Old.Metadata.Labels[ActiveLabel] == "true" {
		// Admission sets that label together with the state, and in every namespace takes it off what comes
		// without one: a state without it was planted where sluice did not stand. One that cannot be read was
		// not written by sluice either. Both count as none and are removed.
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
	return c.release != nil && !c.sameTemplate && c.release.stableAgain(c.newHash) != nil
}

// notices: sluice's own write of what it has seen of the config. The second invocation of a write that
// settles shows a baseline that admission itself wrote.
func (c change) notices() bool {
	seen := c.New.Metadata.Annotations[ConfigSeenAnnotation]
	return c.Sluice && seen != "" && seen != c.Old.Metadata.Annotations[ConfigSeenAnnotation] && !c.settles()
}

// nextID is the ID of a release that this write starts.
func (c change) nextID() int64 {
	if c.release == nil {
		return c.Old.Metadata.Generation + 1
	}
	return c.release.nextID(c.Old.Metadata.Generation)
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

// withdraws: the workload's own word for canaries goes, so that the Namespace's counts.
func (c change) withdraws() bool {
	_, says := c.New.Metadata.Annotations[CanaryAnnotation]
	return c.Old.Metadata.Annotations[CanaryAnnotation] == enabled && !says
}

// guard returns why the update is refused whatever it does to the template, empty where it is not.
func (c change) guard(w World) (Reason, string) {
	disables := len(bypassVerbs(c.Old, c.New)) > 0 || (c.withdraws() && w.NamespaceAnnotations[CanaryAnnotation] == disabled)
	if disables && !w.Allowed[VerbBypass] {
		return NotPermitted, c.notPermitted(VerbBypass, "opt out or disable the canaries")
	}
	if policyChanged(c.Old, c.New) {
		if err := Validate(c.New.Metadata.Annotations); err != nil {
			return InvalidPolicy, c.refused("its policy is not valid", err.Error())
		}
	}
	if c.release == nil {
		return "", ""
	}
	if c.New.strategy(c.Kind).Type != c.Old.strategy(c.Kind).Type && (c.Kind == StatefulSet || !c.reverts()) {
		return StrategyChange, c.strategyMessage()
	}
	if c.Kind == Deployment && c.release.Surge > 0 && c.surgesNowhere() {
		return InvalidPolicy, c.refused("maxUnavailable cannot be 0 where maxSurge is 0", fmt.Sprintf(
			"maxSurge %s is what comes back when release %d has its pods; set it with maxUnavailable in one write: kubectl edit %s -n %s",
			c.wishes().MaxSurge, c.release.ID, c.subject(), c.New.Metadata.Namespace))
	}
	if c.New.Replicas() == 0 && c.Old.Replicas() != 0 {
		return ScaleToZero, ScaleToZeroMessage(c.Kind, c.New.Metadata.Namespace, c.New.Metadata.Name, c.release)
	}
	return "", ""
}

// surgesNowhere: with the user's own maxSurge, which is pinned now, the API server would refuse the new
// strategy.
func (c change) surgesNowhere() bool {
	rolling := c.New.Spec.Strategy.RollingUpdate
	return rolling != nil && isZero(rolling.MaxUnavailable) && isZero(c.wishes().MaxSurge)
}

func isZero(number json.RawMessage) bool {
	text := strings.TrimSuffix(strings.Trim(string(number), `"`), "%")
	return text != "" && strings.Trim(text, "0") == ""
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
		return deny(NotPermitted, c.notPermitted(VerbBypass, "opt out or disable the canaries"))
	}
	s, err := settings(w.NamespaceAnnotations, r.New)
	if err != nil {
		return deny(InvalidPolicy, c.refused("its policy is not valid", err.Error()))
	}
	d := Decision{Verdict: Native, Want: native(), Warnings: overriddenWarning(s)}
	digest := s.digest(w)
	d.Want.Digest = &digest
	if !Holdable(r.Kind) {
		return d
	}
	if !s.Disabled {
		d.Reason = New
		d.Warnings = append(d.Warnings, c.nativeWarning(New))
	}
	if carried, _ := DecodeRelease(r.New.Metadata.Annotations); carried != nil {
		undo(d.Want, carried, r.New)
		if r.Kind != Deployment {
			d.Want.Paused = nil // no other kind has the field, whatever a forged state says
		}
	}
	return d
}

// undo gives back the fields that a release had set when its object was copied.
func undo(want *Want, carried *Release, w *Workload) {
	if (carried.Holds() && w.Spec.Paused) || carried.Held.Paused { // after the hold, their own is still to come back
		want.Paused = &carried.Held.Paused
	}
	if p := w.Spec.UpdateStrategy.Partition(); carried.Holds() && p != 0 && p == carried.partition() {
		want.Partition = &carried.Held.Partition
	}
	if carried.Surge > 0 && w.Spec.Strategy.MaxSurge() != nil {
		want.MaxSurge = carried.Held.MaxSurge
	}
}

func (p Policy) digest(w World) string {
	if p.IgnoreConfig {
		return ""
	}
	return w.Digest
}

func (c change) refused(what, why string) string {
	return fmt.Sprintf("sluice refuses this change of %s: %s: %s", c.subject(), what, why)
}
