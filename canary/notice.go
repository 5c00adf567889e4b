package canary

import (
	"cmp"

	"sluice.dev/sluice/hashing"
)

// Known is content of the config that has a digest already.
type Known struct {
	// Digest verifies the content; Means is the template's digest that stands for it.
	Digest, Means string
	// SameTemplate: the new template was released with it. Any other was not, and may pin other objects of it, or none.
	SameTemplate bool
}

// KnownConfig returns the contents that need no new digest: the old template's, as its own digest or as
// the controller saw it, and those of the stable versions. The first that matches counts.
func KnownConfig(r Review) ([]Known, error) {
	if r.Old == nil {
		return nil, nil
	}
	c, err := classify(r)
	if err != nil {
		return nil, err
	}
	old, err := TemplateDigest(r.Old.Spec.Template)
	if err != nil {
		return nil, err
	}
	hash, err := r.Old.templateHash()
	if err != nil {
		return nil, err
	}
	var known []Known
	if c.sameTemplate || old != "" { // a baseline is of that very template
		known = []Known{{c.config(old, hash), old, c.sameTemplate}, {old, old, c.sameTemplate}}
	}
	if c.release != nil {
		template, err := r.New.templateHash()
		if err != nil {
			return nil, err
		}
		stable := template == c.release.Stable.Hash
		if stable { // it is what was seen of that very template
			known = append(known, Known{c.release.StableConfig, c.release.Stable.Digest, true})
		}
		known = append(known, Known{c.release.Stable.Digest, c.release.Stable.Digest, stable})
	}
	return known, nil
}

// config returns the digest of what the controller saw of the old template's config, empty where that is
// no other than the template's own, or unknown.
func (c change) config(digest, hash string) string {
	seen := hashing.DecodeSeen(c.Old.Metadata.Annotations)
	if !seen.StandsFor(digest, hash) || seen.Digest == hashing.Plain(digest) {
		return ""
	}
	return seen.Digest
}

// notice decides on sluice's own write that tells what it saw of the config. Where that is not what the
// template was released with, it is a new version like any other; where nobody knew what that was, it is
// known from now on, and nothing rolls.
func (c change) notice(w World) (Decision, error) {
	if !c.sameTemplate {
		return deny(Bug, c.refused("sluice's controllers do not change templates", "this is a bug")), nil
	}
	old, err := TemplateDigest(c.Old.Spec.Template)
	if err != nil {
		return Decision{}, err
	}
	if c.oldHash, err = c.Old.templateHash(); err != nil {
		return Decision{}, err
	}
	c.newHash = c.oldHash
	known := old != "" || c.config(old, c.oldHash) != ""
	if w.OptedOut || w.ConfigMissing || !known || w.Digest == old || c.release.Rests() {
		return c.noted(old)
	}
	if s, err := c.settings(w); err != nil || s.IgnoreConfig { // whoever wrote the policy hears of it with their next version
		return c.noted(old)
	}
	if c.release == nil {
		return c.start(w)
	}
	for _, stable := range []*Revision{&c.release.Stable, c.release.Former} {
		if stable != nil && *stable == (Revision{Hash: c.newHash, Digest: w.Digest}) {
			return c.revert(stable)
		}
	}
	return c.supersede(w)
}

// Rests tells whether an aborted version of the user's own waits for whoever may retry it: it is not tried again
// because somebody changed its config. A retry reads that anyway.
func (r *Release) Rests() bool {
	return r != nil && r.Phase == Aborted && r.Canary.Hash != r.Stable.Hash
}

// noted lets the write pass and releases nothing. What was seen before stays where the new does not stand
// for the template as it is: else nobody would know what that was released with.
func (c change) noted(digest string) (Decision, error) {
	d, err := c.carry(Advanced, c.release)
	before, now := hashing.DecodeSeen(c.Old.Metadata.Annotations), hashing.DecodeSeen(c.New.Metadata.Annotations)
	if err == nil && before.StandsFor(digest, c.oldHash) && !now.StandsFor(digest, c.oldHash) {
		value := c.Old.Metadata.Annotations[ConfigSeenAnnotation]
		d.Want.Annotations[ConfigSeenAnnotation] = &value
	}
	return d, err
}

// baseline keeps what the stable version was released with, where its template cannot tell: without it,
// a change of the config until the controller looks again would be taken for what always was.
func (c change) baseline(want *Want, stable Revision) {
	if stable != c.release.Stable || c.release.StableConfig == "" {
		return
	}
	seen := hashing.DecodeSeen(c.Old.Metadata.Annotations)
	if c.notices() {
		seen = hashing.DecodeSeen(c.New.Metadata.Annotations)
	}
	seen.Digest, seen.Of, seen.Template = c.release.StableConfig, stable.Digest, ""
	if stable.Digest == "" {
		seen.Template = stable.Hash
	}
	value := seen.Encode()
	want.Annotations[ConfigSeenAnnotation] = &value
}

// cause names the config that changed where this write tells of it, empty for any other.
func (c change) cause() string {
	if !c.notices() {
		return ""
	}
	return cmp.Or(hashing.DecodeSeen(c.New.Metadata.Annotations).Cause(), "its config")
}
