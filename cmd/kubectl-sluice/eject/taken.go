package eject

import (
	"fmt"
	"slices"
	"time"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// accepts is how long a gateway that says so may take to accept a route.
const accepts = 30 * time.Second

// written is a part that this program wrote, as it was before, and when.
type written struct {
	part
	at time.Time
}

// wrote counts a write. Somebody who takes it back later than in the same request is seen by the number of them.
func (e *Ejector) wrote(item *Item, p part) {
	t := &item.traffic
	if t.tries == nil {
		t.tries, t.undone = map[string]int{}, map[string]time.Time{}
	}
	t.written = append(t.written, written{p, e.Clock.Now()})
	if t.tries[p.key()]++; t.tries[p.key()] >= mostTries {
		t.undone[p.key()] = e.Clock.Now()
	}
}

// taken says what gateways have not taken up yet of what was written, by whomever. Nobody waits for ever: a gateway that
// accepts nothing may be gone.
func (e *Ejector) taken(item *Item, f *front) wait {
	parts := slices.Concat(f.parts, f.claimed)
	for _, p := range parts {
		if waits := e.accepted(item, p); waits != (wait{}) {
			return waits
		}
	}
	for _, w := range item.traffic.written {
		parts = append(parts, w.part) // nothing of sluice's may be left on it
	}
	for _, p := range parts {
		if e.sinceWritten(item, p) < min(p.takesUp(), e.Timeout) {
			return wait{what: "gateways to take up its routes"}
		}
	}
	return wait{}
}

// settled says what gateways have not taken up yet of what somebody else, as a sluice that is alive, gave back.
func (e *Ejector) settled(item *Item, f *front) wait {
	for _, p := range f.returned {
		since := e.sinceWritten(item, p)
		if since < min(p.takesUp(), e.Timeout) || (p.waiting() != "" && since < min(accepts, e.Timeout)) {
			return wait{what: "gateways to take up its routes"}
		}
	}
	return wait{}
}

// accepted says what the gateway of a part has not accepted yet.
func (e *Ejector) accepted(item *Item, p part) wait {
	t, waiting := &item.traffic, p.waiting()
	switch {
	case waiting == "":
	case e.sinceWritten(item, p) < min(accepts, e.Timeout):
		return wait{what: fmt.Sprintf("the gateway of %s: %s", p, waiting)}
	case !t.told && len(t.written) > 0:
		t.told = true
		e.Say(item.Ref, fmt.Sprintf("note: %s is not waited for any longer: %s", p, waiting))
	}
	return wait{}
}

// takesUp is how long a gateway may take to act on a part.
func (p part) takesUp() time.Duration {
	if split.Silent(p.route.GroupVersionKind().GroupKind()) {
		return canary.Unsaid
	}
	return canary.TakesUp
}

// sinceWritten is how long ago anybody last wrote a part. This program remembers what it wrote: a canary Ingress that it
// deleted tells nothing any more. What others wrote the API server's clock tells: what is ahead of this one is not
// believed.
func (e *Ejector) sinceWritten(item *Item, p part) time.Duration {
	now := e.Clock.Now()
	last := split.Written(p.route, p.canary)
	if last.After(now) {
		last = time.Time{}
	}
	for _, w := range item.traffic.written {
		if w.key() == p.key() && w.at.After(last) {
			last = w.at
		}
	}
	return now.Sub(last)
}
