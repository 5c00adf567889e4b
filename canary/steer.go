package canary

import (
	"strings"
	"time"
)

// Traffic moves first, pods follow: before pods of a version are taken away no request is sent to them, and none is
// sent to pods that cannot answer yet. Where nothing divides requests, all of this has nothing to do.

// steer brings the requests to a share, nil: to the Services themselves. It returns nil once every route says so and
// its provider has accepted it.
func (o Observed) steer(want *Share, now time.Time) *Move {
	t := o.Traffic
	if len(t.Routes) == 0 {
		return nil
	}
	if want != nil && want.Weight < 100 && !t.Missing && t.StableEndpoints == 0 && o.stableAvailable() == 0 {
		want = nil // nobody would answer: whoever there is gets what comes
	}
	if want != nil {
		if move := o.prepare(want, now); move != nil {
			return move
		}
	}
	if want == nil && t.divided() && t.Empty && !(o.Release.Since != nil && o.Release.overdue(now)) {
		return awaits("the endpoints of the Service itself", time.Time{}) // for the step's deadline alone
	}
	if !t.at(want) {
		return &Move{Write: &Write{Steer: &Steering{Share: want}}}
	}
	return t.waiting()
}

// prepare makes the two Services select the two versions. What is sent to another canary is taken back before its
// Service selects this one, whose pods may not be there.
func (o Observed) prepare(want *Share, now time.Time) *Move {
	t := o.Traffic
	switch {
	case t.Unnamed:
		return awaits("the revisions of both versions", o.since())
	case t.Missing:
		return &Move{Write: &Write{SelectPods: true}}
	case t.Astray && t.Sends():
		return &Move{Write: &Write{Steer: &Steering{Share: stableAlone}}}
	case t.Astray && t.waiting() != nil: // what its routes said before may be in force still
		return t.waiting()
	case t.Astray:
		if move := o.unsaid(now); move != nil {
			return move
		}
		return &Move{Write: &Write{SelectPods: true}}
	case t.at(want):
		return nil
	case t.Unlisted:
		return awaits("the endpoints of sluice's Services", o.since())
	case t.StableEndpoints == 0 || (!t.divided() && 2*t.StableEndpoints < o.stableAvailable()):
		return awaits("the endpoints of the stable version's Service", o.since())
	case want.sends() && t.CanaryEndpoints < o.canaryAvailable():
		return awaits("the endpoints of the canary's Service", o.since())
	}
	return nil
}

// awaits is a Move that waits for what wakes the controller, and looks again in case that is lost. Since then it has
// been waited for, as far as anybody wrote that down.
func awaits(what string, since time.Time) *Move {
	return &Move{Wait: lookAtRoutes, awaits: what, since: since}
}

// lookAtRoutes is how often routes and endpoints that are awaited are looked at: not all of what they wait for is
// watched. lookBeside is how often they are looked at while nothing else happens.
const lookAtRoutes, lookBeside = time.Second, 30 * time.Second

// since is when the phase began.
func (o Observed) since() time.Time {
	if o.Release.Since == nil {
		return time.Time{}
	}
	return *o.Release.Since
}

// waited is how long it has been.
func (m *Move) waited(now time.Time) time.Duration {
	if m == nil || m.since.IsZero() {
		return 0
	}
	return now.Sub(m.since)
}

// alone: an adopted canary of full size has replaced every other pod of its Deployment, also in the endpoints.
func (o Observed) alone(canary *ReplicaSet) bool {
	for _, rs := range o.ReplicaSets {
		if rs.Owned && rs.UID != canary.UID && (rs.Replicas > 0 || rs.StatusReplicas > 0) {
			return false
		}
	}
	return o.Traffic.OnlyCanary
}

// divide steers while a step is under way. It says what it waits for, or what only people can mend, and aborts a
// step whose deadline is over.
func (o Observed) divide(want *Share, now time.Time) *Move {
	r, move := o.Release, o.steer(want, now)
	var what string
	var long bool
	switch gone := o.gone(); {
	case o.Traffic.Blocked != "":
		what, long = o.Traffic.Blocked, true
	case gone != "":
		what, long = gone+" is gone, which divided the requests: create it again, or abort the release", true
	case move == nil && strings.HasPrefix(r.Reason, undivided):
		next := r.clone()
		next.Reason, next.Told = "", nil
		return &Move{Write: &Write{SetRelease: next}}
	case move == nil || move.awaits == "":
		return move
	default:
		what, long = "it is waited for "+move.awaits, move.waited(now) >= lookEvery
	}
	what = undivided + what
	if r.Phase == Progressing && r.overdue(now) {
		next := r.to(Aborted, now, what)
		return &Move{Write: &Write{SetRelease: next}, Event: seen(next)}
	}
	if long && !strings.Contains(r.Reason, what) && r.mayTell(now) {
		return tellOf(r, what, now)
	}
	return &Move{Wait: lookAtRoutes}
}

// undivided is how a reason begins that divide gives.
const undivided = "requests are not divided: "

// withdraw takes the requests off a canary before its pods go: to the stable version's own Service while the
// workload is held, else to the Service itself. A provider that does not answer holds that up for the step's
// deadline alone.
func (o Observed) withdraw(now time.Time) *Move {
	if move := o.patient(o.steer(o.away(), now), now); move != nil {
		return move
	}
	return o.unsaid(now)
}

// unsaid waits until gateways that do not say when they have taken up a route can have done so, at most for the step's
// deadline: somebody may write a route again and again, or the API server's clock be ahead of ours.
func (o Observed) unsaid(now time.Time) *Move {
	if o.Release.Since != nil && o.Release.overdue(now) {
		return nil
	}
	for _, route := range o.Traffic.Routes {
		if left := route.Changed.Add(Unsaid).Sub(now); route.Silent && left > 0 {
			return &Move{Wait: min(left, Unsaid)}
		}
	}
	return nil
}

// atOnce takes the requests off a canary that has lost every pod, or that was aborted just now, before anything else.
func (o Observed) atOnce() *Move {
	t, r := o.Traffic, o.Release
	over := r.Since == nil && (r.Phase == Aborted || r.Phase == Reverting) && o.whole() && !o.adopting()
	if !t.Sends() || t.StableEndpoints == 0 || (t.CanaryEndpoints > 0 && !over) {
		return nil
	}
	return &Move{Write: &Write{Steer: &Steering{Share: o.away()}}}
}

// whole: the Deployment's own pods are as many as its strategy allows. Those of a StatefulSet are fewer for as long as
// it has a canary.
func (o Observed) whole() bool {
	_, available := o.owned()
	return o.Kind == StatefulSet || available >= o.Workload.Replicas-o.Workload.MaxUnavailable
}

func (o Observed) patient(move *Move, now time.Time) *Move {
	if move.waited(now) > time.Duration(o.Release.Policy.Deadline) {
		return nil
	}
	return move
}

// giveBack makes the routes what they were, once no pods of the canary are left behind the Services, at most for the
// step's deadline. That gateways accept it nothing waits for: whoever takes the Services of both versions away does.
func (o Observed) giveBack(now time.Time) *Move {
	switch {
	case o.Traffic.Lost && o.Traffic.StableEndpoints > 0:
		return nil // there is nothing to give them back to; the stable version's own Service serves
	case o.Traffic.divided() && (!o.Traffic.OnlyStable || o.Traffic.Empty) && o.Traffic.StableEndpoints > 0 && !o.Release.overdue(now):
		return &Move{Wait: lookAtEndpoints}
	}
	if move := o.steer(nil, now); move != nil && move.Write != nil {
		return move
	}
	return nil
}

// rest is what an aborted release does for as long as it stands: its routes are given back, once that is possible.
func (o Observed) rest(now time.Time) Move {
	move := o.giveBack(now)
	if move == nil && o.Traffic.Lost && o.Traffic.divided() {
		return Move{Wait: lookBeside}
	}
	return orNothing(move)
}

// lookAtEndpoints is how often endpoints of the user's own Services are looked at, which are not watched.
const lookAtEndpoints = 500 * time.Millisecond

// recordFound records what was found in front of the workload. What is gone stays in the record: somebody has to know.
func (o Observed) recordFound() *Move {
	found := o.Traffic.Found
	if found != nil && !o.canBeAlone() {
		found = &Found{Services: found.Services, Notes: append([]string{"requests are not divided, since two versions are stable, and no Service selects both"}, found.Notes...)}
	}
	if o.gone() != "" || found.equal(o.Release.Traffic) {
		return nil
	}
	next := o.Release.clone()
	next.Traffic, next.Divided = found, next.Divided || (found != nil && len(found.Routes) > 0)
	return &Move{Write: &Write{SetRelease: next}, Event: routed(next)}
}

// stableAvailable counts the available pods of the stable version.
func (o Observed) stableAvailable() int32 {
	if o.Kind == StatefulSet {
		return o.availablePods(o.Workload.Current)
	}
	if stable := o.stable(); stable != nil {
		return stable.AvailableReplicas
	}
	return 0
}

// canaryAvailable counts the available pods of the canary.
func (o Observed) canaryAvailable() int32 {
	if o.Kind == StatefulSet {
		return o.availablePods(o.Release.Canary)
	}
	if canary := o.canary(); canary != nil {
		return canary.AvailableReplicas
	}
	return 0
}

func (o Observed) availablePods(of Revision) int32 {
	count := int32(0)
	for _, pod := range o.Pods {
		if pod.Template == of && pod.Available && !pod.Terminating {
			count++
		}
	}
	return count
}
