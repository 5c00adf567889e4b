package eject

import "time"

// wait is what an item waits for; the zero value: nothing.
type wait struct {
	what string
	// serves: pods that serve are to be replaced first.
	serves bool
}

// settles is how long controllers and the API server are waited for whatever the timeout: it is about pods.
const settles = 10 * time.Second

// changed is awaited where a write came too late.
var changed = wait{what: "others that are writing to it"}

// over says what to do once it was waited for long enough.
func (w wait) over() string {
	if w.serves {
		return w.what + ": run it again, or with --timeout=0, which deletes them at once although they serve"
	}
	return w.what + ": run it again"
}
