package canary

import (
	"slices"
	"time"
)

// Traffic is what stands in front of a workload, as it was read. The zero Traffic is nothing that divides requests:
// then pods share them by their number.
type Traffic struct {
	// Found is what the state says of it.
	Found *Found
	// Routes are the parts of routes that send requests to the workload, one for each route and Service.
	Routes []Route
	// Blocked says why requests cannot be divided although they have to be; only people can mend it.
	Blocked string
	// Missing: a Service of sluice's is not there, or not as it has to be. Astray: one of the canary's selects
	// another version than the release's.
	Missing, Astray bool
	// Lost: a Service of the user's that is divided is gone, or selects other pods.
	Lost bool
	// Unnamed: a Service is not there, and the label of the pods that it would select is not known yet.
	Unnamed bool
	// StableEndpoints and CanaryEndpoints are how many ready pods the versions' Services have; of several
	// Services, the one with the fewest. While a canary gets no requests, only pods that its Service selects
	// by now and that nobody has deleted count.
	StableEndpoints, CanaryEndpoints int32
	// Unlisted: a Service of sluice's has no endpoints object yet, not even an empty one. A gateway takes that for a
	// backend that does not exist.
	Unlisted bool
	// OnlyStable and OnlyCanary: the Services themselves have no ready pods but those of the one version. Endpoints
	// follow pods with a delay, of a second where a write of them fails.
	OnlyStable, OnlyCanary bool
	// Empty: a Service of the user's has no ready pod, although one of sluice's beside it has.
	Empty bool
}

// Found is what was found in front of a workload, for people.
type Found struct {
	// Services are the names of those that select the workload's pods.
	Services []string `json:"services,omitempty"`
	// Routes are those that are divided: "httproute/web".
	Routes []string `json:"routes,omitempty"`
	// Notes are sentences: what is not divided, and why, and what makes a share inexact.
	Notes []string `json:"notes,omitempty"`
}

func (f *Found) equal(other *Found) bool {
	if f == nil || other == nil {
		return f == other
	}
	return slices.Equal(f.Services, other.Services) && slices.Equal(f.Routes, other.Routes) && slices.Equal(f.Notes, other.Notes)
}

// Route is the part of a route that sends requests to one Service.
type Route struct {
	Name string // "httproute/web"
	// Share is what it is divided by; nil: requests go to the Service itself.
	Share *Share
	// Differs: its spec is not what the share makes of it.
	Differs bool
	// Waiting says what its provider has not accepted yet; empty where it has, or does not say.
	Waiting string
	// Changed is when the route last was. Silent: its provider does not say when it has taken that up; see Unsaid.
	Changed time.Time
	Silent  bool
}

// Unsaid is how long a provider is given that does not say when it has taken up a route: before pods come that are to
// get no requests yet, before pods go that got some, and before native controllers may take any. The controller of
// ingress-nginx reloads at most every 3.3 s by default.
const Unsaid = 5 * time.Second

// TakesUp is how long any other one is given to act on a route that it has accepted, where a release has ended past
// sluice, and before Services go to which it may send requests still.
const TakesUp = 2 * time.Second

// Share is how requests are divided between the stable version and the canary.
type Share struct {
	// Weight is the canary's, in percent.
	Weight int32
	// Match is the value of MatchAnnotation: such requests are the canary's whatever the weight.
	Match string
}

func (s *Share) sends() bool { return s != nil && (s.Weight > 0 || s.Match != "") }

// stableAlone sends every request to the stable version's own Service, so that nothing gets to a canary that has
// pods already, or is about to.
var stableAlone = &Share{}

// at tells whether every route divides by a share.
func (t Traffic) at(want *Share) bool {
	return !slices.ContainsFunc(t.Routes, func(r Route) bool { return r.Differs || !SameShare(r.Share, want) })
}

// SameShare returns whether two shares divide alike; nil divides nothing.
func SameShare(a, b *Share) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// divided tells whether any route is.
func (t Traffic) divided() bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool { return r.Share != nil })
}

// Sends tells whether a route sends requests to a canary.
func (t Traffic) Sends() bool {
	return slices.ContainsFunc(t.Routes, func(r Route) bool { return r.Share.sends() })
}

// least returns the share of the route whose canary gets the least, nil where a route is not divided.
func (t Traffic) least() *Share {
	var least *Share
	for i, route := range t.Routes {
		if i == 0 || route.Share == nil || (least != nil && route.Share.Weight < least.Weight) {
			least = route.Share
		}
	}
	return least
}

// waiting is a Move that waits for a provider that has not accepted its route, nil where all have.
func (t Traffic) waiting() *Move {
	for _, route := range t.Routes {
		if route.Waiting != "" {
			return awaits(route.Name+": "+route.Waiting, route.Changed)
		}
	}
	return nil
}

// gone names a route that was divided for this release and is not there any more.
func (o Observed) gone() string {
	if o.Release.Traffic == nil {
		return ""
	}
	for _, name := range o.Release.Traffic.Routes {
		if !slices.ContainsFunc(o.Traffic.Routes, func(r Route) bool { return r.Name == name }) {
			return name
		}
	}
	return ""
}
