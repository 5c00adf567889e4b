package watch

import (
	"fmt"

	"sluice.dev/sluice/canary"
)

// wish is what the user wants in the fields that sluice sets during a release: what is stored while sluice
// sets none, and what the test says it states meanwhile (facts Paused, Unpaused, Surge and Partition).
type wish struct {
	paused    bool
	maxSurge  string
	partition int
}

func wishOf(v version) wish { return wish{v.paused, v.maxSurge, v.partition} }

// follow goes from one version of a workload to the next and says what sluice did not give back.
func (w *wish) follow(old, v version) (wrong string) {
	if v.kind == canary.StatefulSet {
		return w.followSet(old, v)
	}
	before, after := old.release(), v.release()
	switch {
	case after != nil && after.Surge > 0: // pinned
	case before != nil && before.Surge > 0 && v.maxSurge != w.maxSurge:
		wrong = fmt.Sprintf("maxSurge is %s after it was pinned, where the user wants %s", v.maxSurge, w.maxSurge)
	default:
		w.maxSurge = v.maxSurge
	}
	switch {
	case before == nil && after == nil, finishes(before) && finishes(after) && old.paused != v.paused:
		w.paused = v.paused
	case before != nil && after == nil && v.paused != w.paused:
		wrong = fmt.Sprintf("paused is %t after the release, where the user wants %t", v.paused, w.paused)
	}
	return wrong
}

func (w *wish) followSet(old, v version) (wrong string) {
	before, after := old.release(), v.release()
	switch {
	case after.Holds(): // closed, or open for a step's pods
	case before.Holds() && v.partition != w.partition:
		return fmt.Sprintf("the partition is %d after it was held, where the user wants %d", v.partition, w.partition)
	case before != nil && after == nil && v.partition != w.partition:
		return fmt.Sprintf("the partition is %d after the release, where the user wants %d", v.partition, w.partition)
	}
	if !after.Holds() {
		w.partition = v.partition
	}
	return ""
}

func finishes(r *canary.Release) bool { return r != nil && r.Stage == canary.Finishing }
