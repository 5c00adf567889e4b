package eject

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// set is a StatefulSet whose release has ended, with its pods.
type set struct {
	// mark says how its release ended; empty: it had none, and its pods are nobody's but its owner's.
	mark                canary.Phase
	replicas, partition int32
	inOrder             bool
	// observed: its status tells of this generation.
	observed bool
	// current and update are the revisions that its status names.
	current, update string
	pods            []pod
}

// pod is a pod of a StatefulSet.
type pod struct {
	name      string
	uid       types.UID
	index     int32  // its ordinal less the first one
	revision  string // of which it was made
	ready     bool
	available bool // ready for minReadySeconds
	ending    bool // being deleted
}

// task is what is left to do for a StatefulSet; the zero value: nothing.
type task struct {
	remove *pod
	await  wait
}

// left returns what the StatefulSet's controller would never do: in order, it replaces no pod while one
// is not ready; and it replaces none below the partition, where nobody approved the version that runs.
func (s set) left(rush bool) task {
	switch {
	case s.mark == "":
		return task{}
	case s.closed():
		return s.takeBack(s.updated, rush)
	}
	next := s.unstick()
	if next != (task{}) || s.mark != canary.Reverting || s.partition == 0 {
		return next
	}
	return s.takeBack(s.below, rush)
}

// closed: the partition keeps the new version away from all pods, as --leave-paused leaves it.
func (s set) closed() bool {
	return s.partition == canary.ClosedPartition && s.mark != canary.Promoting && s.mark != canary.Reverting
}

// updated: a pod runs the version in the spec, and would come back as another one.
func (s set) updated(p pod) bool { return p.revision == s.update && s.update != s.current }

// below: a pod below its owner's partition runs a version that is neither of the two in force.
func (s set) below(p pod) bool {
	return p.index < s.partition && p.revision != s.update && p.revision != s.current
}

// unstick removes pods that are not ready and are to be replaced. Source: kubernetes/kubernetes#67250.
func (s set) unstick() task {
	if !s.inOrder || !slices.ContainsFunc(s.pods, func(p pod) bool { return !p.ready && !p.ending }) {
		return task{}
	}
	if !s.observed {
		return task{await: wait{what: "its status to tell of the new spec"}}
	}
	for _, p := range s.highestFirst() {
		if p.index >= s.partition && p.revision != s.update && !p.ready && !p.ending {
			return task{remove: &p}
		}
	}
	return task{}
}

// takeBack removes the pods that are surplus, so that they come back as stable ones: what is not available
// at once, the others one by one while all are available.
func (s set) takeBack(isSurplus func(pod) bool, rush bool) task {
	if !s.observed {
		return task{await: wait{what: "its status to tell of the new spec"}}
	}
	var surplus []pod
	available := int32(0)
	for _, p := range s.highestFirst() {
		switch {
		case p.ending:
			continue
		case p.available:
			available++
		}
		if isSurplus(p) {
			surplus = append(surplus, p)
		}
	}
	if len(surplus) == 0 {
		return task{}
	}
	for _, p := range surplus {
		if !p.available {
			return task{remove: &p}
		}
	}
	if available < s.replicas && !rush {
		return task{await: wait{what: "all of its pods to be available, since the next one of the new version goes then", serves: true}}
	}
	return task{remove: &surplus[0]}
}

func (s set) highestFirst() []pod {
	pods := slices.Clone(s.pods)
	slices.SortFunc(pods, func(a, b pod) int { return cmp.Compare(b.index, a.index) })
	return pods
}
