package canary

import (
	"cmp"
	"slices"
	"time"
)

// statefulSet runs the canary in place of stable pods, by the partition of the update strategy: pods
// below it are made of status.currentRevision, pods from it on of the template.
//
// A held set has a partition that no ordinal reaches (the gate is closed). Pods of the new version that
// run already keep running, and whatever else is created, as by a scale-up, is stable. The gate opens
// only while the pods of a step are being made.
type statefulSet struct{ Observed }

func (s statefulSet) lifted() bool { return s.Workload.Partition != s.Release.partition() }

// restore: the template is all that could bring the stable version back, and that is the user's.
func (s statefulSet) restore(now time.Time) *Move {
	r := s.Release
	if !r.Holds() || r.Phase == Aborted || s.Workload.Current != r.Canary {
		return nil
	}
	next := r.to(Aborted, now, "Kubernetes made the new version the current one (the set had no pods for a while, or the ControllerRevision of the stable version was deleted): apply the old version again")
	return &Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}

// clear takes back pods of versions that were superseded.
func (s statefulSet) clear(now time.Time) *Move { return s.takeBack(len(s.canaries()), now) }

func (s statefulSet) idle() *Move {
	if s.Release.Gate == nil {
		return nil
	}
	return s.setGate(nil)
}

func (s statefulSet) asked() bool {
	return s.Release.Gate != nil || len(s.canaries()) == int(s.size())
}

func (s statefulSet) scale(now time.Time) *Move {
	r, w, have, size := s.Release, s.Workload, len(s.canaries()), int(s.size())
	switch {
	case r.Gate != nil && (have >= size || *r.Gate != s.gate(size)):
		return s.setGate(nil)
	case r.Gate != nil:
		return s.unstick(*r.Gate, r.Canary)
	case have > size:
		return s.takeBack(size, now)
	case have == size:
		return nil
	case w.ObservedGeneration < w.Generation || w.Current == (Revision{}):
		return &Move{} // the controller's next status wakes us
	}
	gate := s.gate(size)
	return s.setGate(&gate)
}

// gate returns the partition at which size pods run the new version: those that do already, wherever
// they are, and the highest others.
func (s statefulSet) gate(size int) int32 {
	is := map[int32]bool{}
	for _, pod := range s.canaries() {
		is[pod.Index] = true
	}
	at, missing := s.Workload.Replicas, size-len(is)
	for missing > 0 && at > s.Release.Held.Partition {
		at--
		if !is[at] {
			missing--
		}
	}
	return at
}

func (s statefulSet) setGate(gate *int32) *Move {
	next := s.Release.clone()
	next.Gate = gate
	return &Move{Write: &Write{SetRelease: next}}
}

func (s statefulSet) settled() bool {
	available, size := s.pods()
	return s.Release.Gate == nil && available == size && len(s.canaries()) == int(size)
}

func (s statefulSet) pods() (available, all int32) {
	for _, pod := range s.canaries() {
		if pod.Available {
			available++
		}
	}
	return available, s.size()
}

func (s statefulSet) beginPromotion(next *Release) {
	next.Stage, next.Sequence = Finishing, SequenceP
	next.Since = nil // seen next, with an Event of its own
}

func (s statefulSet) promote(time.Time) Move { return s.finish(s.Release.Canary) }

// abort brings the canary's pods back as stable ones.
func (s statefulSet) abort(now time.Time) Move {
	if move := s.takeBack(0, now); move != nil {
		return *move
	}
	return Move{}
}

func (s statefulSet) revert(time.Time) Move {
	return s.finish(Revision{Hash: s.Workload.TemplateHash, Digest: s.Workload.TemplateDigest})
}

// finish waits until every pod above the user's own partition runs the version that is in the spec, and
// is available, then ends the release.
func (s statefulSet) finish(version Revision) Move {
	w, partition := s.Workload, s.Release.Held.Partition
	if w.ObservedGeneration < w.Generation {
		return Move{}
	}
	if move := s.unstick(partition, version); move != nil {
		return *move
	}
	done := int32(0)
	for _, pod := range s.Pods {
		// A stable version that was not available before the release need not become so.
		if pod.Index >= partition && pod.Template == version && !pod.Terminating && (pod.Available || s.Release.Phase == Reverting) {
			done++
		}
	}
	if done < w.Replicas-partition || (partition == 0 && w.Current != version) {
		return Move{}
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(s.Release)}
}

// canaries returns the pods of the new version, the highest first.
func (s statefulSet) canaries() []Pod {
	var found []Pod
	for _, pod := range s.Pods {
		if pod.Template == s.Release.Canary && !pod.Terminating {
			found = append(found, pod)
		}
	}
	slices.SortFunc(found, func(a, b Pod) int { return cmp.Compare(b.Index, a.Index) })
	return found
}

// strays returns the pods of versions that are neither stable nor the canary's.
func (s statefulSet) strays() []Pod {
	var found []Pod
	for _, pod := range s.Pods {
		switch pod.Template {
		case s.Release.Stable, s.Release.Canary, s.Workload.Current, Revision{}:
		default:
			if !pod.Terminating {
				found = append(found, pod)
			}
		}
	}
	slices.SortFunc(found, func(a, b Pod) int { return cmp.Compare(b.Index, a.Index) })
	return found
}

// takeBack deletes pods that should be stable ones, behind a closed gate, so that they come back as such:
// all of superseded versions, and of the canary's those beyond the ones to keep. What is not available
// goes at once; the others one by one, highest first, while everybody else is available, or once the
// step's deadline is over.
func (s statefulSet) takeBack(keep int, now time.Time) *Move {
	r, w := s.Release, s.Workload
	surplus := append(s.strays(), s.canaries()[keep:]...)
	switch {
	case len(surplus) == 0 || w.Current == r.Canary: // they would come back as they are
		return nil
	case r.Gate != nil:
		return s.setGate(nil)
	case w.ObservedGeneration < w.Generation || w.Current == (Revision{}):
		return &Move{}
	}
	for i := range surplus {
		if !surplus[i].Available {
			return &Move{Write: &Write{DeletePod: &surplus[i]}}
		}
	}
	if !s.whole() && !r.overdue(now) {
		return &Move{Wait: r.left(now)}
	}
	return &Move{Write: &Write{DeletePod: &surplus[0]}}
}

// whole: all pods exist and are available.
func (s statefulSet) whole() bool {
	available := int32(0)
	for _, pod := range s.Pods {
		if pod.Available && !pod.Terminating {
			available++
		}
	}
	return available >= s.Workload.Replicas
}

// unstick deletes a pod that is not ready and is to be replaced: in order, the controller waits for it
// before it replaces any. Source: kubernetes/kubernetes#67250.
func (s statefulSet) unstick(partition int32, version Revision) *Move {
	w := s.Workload
	if !w.InOrder || w.ObservedGeneration < w.Generation {
		return nil
	}
	for i := len(s.Pods) - 1; i >= 0; i-- {
		pod := &s.Pods[i]
		if pod.Index >= partition && pod.Template != version && !pod.Ready && !pod.Terminating {
			return &Move{Write: &Write{DeletePod: pod}}
		}
	}
	return nil
}
