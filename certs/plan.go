package certs

import (
	"fmt"
	"time"
)

// Action is one write of the Secret; Keep is none.
type Action string

// The actions, in the order of the table in doc.go.
const (
	Keep     Action = "Keep"
	Found    Action = "Found"
	Adopt    Action = "Adopt"
	Withdraw Action = "Withdraw"
	Confirm  Action = "Confirm"
	Promote  Action = "Promote"
	Announce Action = "Announce"
	Drop     Action = "Drop"
)

// Role says what for a new CA has to be made before a Step is stored.
type Role string

// The roles of a new CA.
const (
	Nobody  Role = ""
	Signing Role = "signing"
	Next    Role = "next"
)

// Step is what is to be done now.
type Step struct {
	Action Action
	Reason string        // for the log: what and why
	Store  Stored        // what the Secret is to say; under Keep, what it says
	Mint   Role          // the CA that is still missing in Store
	Bundle Bundle        // under Keep: what every caBundle is to hold
	Wait   time.Duration // under Keep: until time alone changes the plan
}

// with fills in the CA that was missing.
func (s Stored) with(role Role, ca *CA) Stored {
	switch role {
	case Signing:
		s.Signing = ca
	case Next:
		s.Next = ca
	case Nobody:
	}
	return s
}

// situation is what the rules judge.
type situation struct {
	stored   Stored // as it is in the Secret
	live     Stored // without what has expired
	observed Observed
	foreign  Bundle // trusted by some webhook, not stored
	now      time.Time
	timing   Timing
}

// Plan decides the next step; doc.go has the table.
func Plan(stored Stored, observed Observed, now time.Time, timing Timing) Step {
	s := situation{
		stored: stored, live: stored.alive(now), observed: observed,
		foreign: observed.union().unexpired(now).without(stored.all()),
		now:     now, timing: timing,
	}
	for _, rule := range []func() *Step{s.found, s.adopt, s.withdraw, s.confirm, s.promote, s.announce, s.drop} {
		if step := rule(); step != nil {
			return *step
		}
	}
	return s.keep()
}

func (s situation) found() *Step {
	if s.live.Signing != nil || s.live.Next != nil {
		return nil
	}
	trusted := s.live.Retired.union(s.foreign...)
	if len(trusted) == 0 {
		return &Step{Action: Found, Mint: Signing, Reason: "there is no CA and no webhook trusts one"}
	}
	// Other replicas may serve leaves of a CA whose Secret is gone.
	return &Step{Action: Found, Mint: Next, Reason: "there is no CA that can sign; those that webhooks trust stay trusted for the overlap",
		Store: Stored{Retired: trusted, RetiredSince: s.now}}
}

func (s situation) adopt() *Step {
	if len(s.foreign) == 0 {
		return nil
	}
	store := s.live
	store.Retired, store.RetiredSince = store.Retired.union(s.foreign...), s.now
	return &Step{Action: Adopt, Store: store, Reason: "a webhook trusts a CA that is not stored; it stays trusted for the overlap"}
}

func (s situation) withdraw() *Step {
	if s.live.Next == nil || s.live.Announced.IsZero() || s.observed.everywhere(s.live.Next.Certificate) {
		return nil
	}
	store := s.live
	store.Announced = time.Time{}
	return &Step{Action: Withdraw, Store: store, Reason: "the next CA is no longer trusted by every webhook"}
}

func (s situation) confirm() *Step {
	if s.live.Next == nil || !s.live.Announced.IsZero() || !s.observed.everywhere(s.live.Next.Certificate) {
		return nil
	}
	store := s.live
	store.Announced = s.now
	return &Step{Action: Confirm, Store: store, Reason: "the next CA is trusted by every webhook"}
}

func (s situation) promote() *Step {
	if s.live.Next == nil || s.live.Announced.IsZero() || s.now.Before(s.promoteAt()) {
		return nil
	}
	store := Stored{Signing: s.live.Next, Retired: s.live.Retired}
	if s.live.Signing != nil {
		store.Retired = Bundle{s.live.Signing.Certificate}.union(store.Retired...)
	}
	if len(store.Retired) > 0 {
		store.RetiredSince = s.now
	}
	return &Step{Action: Promote, Store: store, Reason: "the next CA has been trusted by every webhook for the propagation time"}
}

func (s situation) announce() *Step {
	if s.live.Next != nil || s.now.Before(renewAt(s.live.Signing.Certificate)) {
		return nil
	}
	return &Step{Action: Announce, Mint: Next, Store: s.live, Reason: "the CA is past 2/3 of its life"}
}

// drop waits until the webhooks have let go: a CA that is trusted and not stored
// would be adopted again.
func (s situation) drop() *Step {
	gone := s.stored.Retired.without(s.trustedRetired())
	if len(gone) == 0 || len(gone.without(s.observed.union())) < len(gone) {
		return nil
	}
	store := s.live
	store.Retired = s.trustedRetired()
	if len(store.Retired) == 0 {
		store.RetiredSince = time.Time{}
	}
	return &Step{Action: Drop, Store: store, Reason: "every certificate of the retired CA has expired"}
}

func (s situation) keep() Step {
	step := Step{Action: Keep, Store: s.stored, Bundle: s.live.certificates().union(s.trustedRetired()...)}
	var next time.Time
	switch {
	case s.live.Next != nil && s.live.Announced.IsZero():
		step.Reason = "the next CA waits to be trusted by every webhook"
		return step // time changes nothing: the edge writes the bundle and plans again
	case s.live.Next != nil:
		next = s.promoteAt()
		step.Reason = fmt.Sprintf("the next CA signs from %s on", next.UTC().Format(time.RFC3339))
	default:
		next = renewAt(s.live.Signing.Certificate)
		step.Reason = fmt.Sprintf("the CA is renewed at %s", next.UTC().Format(time.RFC3339))
	}
	if len(s.trustedRetired()) > 0 {
		next = earlier(next, s.dropAt())
	}
	step.Wait = next.Sub(s.now)
	return step
}

// trustedRetired are the retired CAs of which a leaf may still be served.
func (s situation) trustedRetired() Bundle {
	if !s.now.Before(s.dropAt()) {
		return nil
	}
	return s.live.Retired
}

func (s situation) promoteAt() time.Time {
	return s.live.Announced.Add(s.timing.Propagation + s.timing.Skew)
}

func (s situation) dropAt() time.Time { return s.stored.RetiredSince.Add(s.timing.Overlap) }
