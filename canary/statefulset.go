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

const forgotten = "Kubernetes made the new version the current one (the set had no pods for a while, its partition was lowered past admission, " +
	"or the ControllerRevision of the stable version was deleted): apply the old version again"

// restore follows the set where Kubernetes has another idea of its versions than the release.
func (s statefulSet) restore(now time.Time) *Move {
	r := s.Release
	if !r.Holds() || r.Phase == Reverting {
		return nil
	}
	steps := r.Phase == Progressing || r.Phase == Waiting
	if s.Workload.Current == r.Canary {
		return s.comeFrom(now)
	}
	if byUser := r.Held.Partition >= s.Workload.Replicas && s.Workload.Replicas > 0; steps && byUser != (r.Step == 0) {
		next := r.to(Progressing, now, "")
		next.Approvals, next.Step = nil, 1
		if byUser {
			next.Step = 0
		}
		return &Move{Write: &Write{SetRelease: next}, Event: seen(next)}
	}
	return nil
}

// comeFrom: pods are made of the version that is held. Where pods of the stable one are there, the set
// was on its way from the one to the other, and goes back; else only the template could bring the stable
// version back, and that is the user's.
func (s statefulSet) comeFrom(now time.Time) *Move {
	r := s.Release
	stays := slices.ContainsFunc(s.Pods, func(pod Pod) bool { return pod.Template == r.Stable })
	var next *Release
	switch {
	case r.Reason == forgotten || (stays && r.Phase == Aborted):
		return nil
	case stays:
		if move := s.patient(s.steer(nil, now), now); move != nil {
			return move // pods go of what is the stable version to its routes
		}
		if move := s.unsaid(now); move != nil {
			return move
		}
		next = r.to(Reverting, now, "it is the version that the set was coming from")
		next.Stage = Finishing
	default:
		next = r.to(Aborted, now, forgotten)
	}
	return &Move{Write: &Write{SetRelease: next}, Event: seen(next)}
}

// clear takes back pods of versions that were superseded.
func (s statefulSet) clear(now time.Time) *Move { return s.empty(s.strays(), now) }

// empty takes the requests off pods, then takes those back.
func (s statefulSet) empty(surplus []Pod, now time.Time) *Move {
	if len(surplus) > 0 {
		if move := s.withdraw(now); move != nil {
			return move
		}
	}
	return s.takeBack(surplus, now)
}

// idle keeps no canary pods.
func (s statefulSet) idle(now time.Time) *Move {
	if s.Release.Gate != nil {
		return s.setGate(nil)
	}
	return s.empty(append(s.strays(), s.canaries()...), now)
}

func (s statefulSet) asked() bool {
	return s.Release.Gate != nil || len(s.canaries()) == int(s.size())
}

func (s statefulSet) scale(now time.Time) *Move {
	r, have, size := s.Release, len(s.canaries()), int(s.size())
	switch {
	case r.Gate != nil && (have >= size || *r.Gate != s.gate(size)):
		return s.setGate(nil)
	case r.Gate != nil:
		return s.unstick(*r.Gate, r.Canary)
	case have > size:
		return s.takeBack(s.canaries()[size:], now)
	case have == size || s.unobserved():
		return nil
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

// promote ends when every pod above the user's own partition runs the new version and is available.
func (s statefulSet) promote(now time.Time) Move {
	r, w := s.Release, s.Workload
	if move := s.patient(s.steer(nil, now), now); move != nil {
		return *move
	}
	if move := s.roll(r.Canary); move != nil {
		return *move
	}
	if (r.Held.Partition > 0 && r.Held.Partition >= w.Replicas) || (r.Held.Partition == 0 && w.Current != r.Canary) {
		return Move{Wait: lookEvery}
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(r)}
}

// abort brings the canary's pods back as stable ones.
func (s statefulSet) abort(now time.Time) Move {
	if move := s.empty(append(s.strays(), s.canaries()...), now); move != nil {
		return *move
	}
	if s.Workload.ObservedGeneration < s.Workload.Generation {
		return Move{Wait: lookEvery} // its controller may make another pod of the canary's version
	}
	return s.rest(now)
}

// revert ends when no pod runs another version than the one in the spec, or the one below the user's own
// partition. The controller replaces no pod below it.
func (s statefulSet) revert(now time.Time) Move {
	if s.Release.Holds() {
		return s.letGo(now)
	}
	version := Revision{Hash: s.Workload.TemplateHash, Digest: s.Workload.TemplateDigest}
	var below []Pod
	for _, pod := range append(s.strays(), s.canaries()...) {
		if pod.Index < s.Release.Held.Partition && pod.Template != version {
			below = append(below, pod)
		}
	}
	if move := s.takeBack(below, now); move != nil {
		return *move
	}
	if move := s.roll(version); move != nil {
		return *move
	}
	if move := s.giveBack(now); move != nil {
		return *move
	}
	return Move{Write: &Write{EndRelease: true}, Event: ended(s.Release)}
}

// letGo lets the native controller replace the canary's pods, which get no requests any more.
func (s statefulSet) letGo(now time.Time) Move {
	if len(s.canaries())+len(s.strays()) > 0 {
		if move := s.withdraw(now); move != nil {
			return *move
		}
	}
	next := s.Release.at(now)
	next.Stage = Finishing
	return Move{Write: &Write{SetRelease: next}}
}

// roll waits until every pod above the user's own partition runs a version, and while it is promoted is
// available too.
func (s statefulSet) roll(version Revision) *Move {
	w, partition := s.Workload, s.Release.Held.Partition
	if w.ObservedGeneration < w.Generation {
		return &Move{Wait: lookEvery}
	}
	if move := s.unstick(partition, version); move != nil {
		return move
	}
	done := int32(0)
	for _, pod := range s.Pods {
		// A stable version that was not available before the release need not become so.
		if pod.Index >= partition && pod.Template == version && !pod.Terminating && (pod.Available || s.Release.Phase == Reverting) {
			done++
		}
	}
	if done < w.Replicas-partition {
		return &Move{Wait: lookEvery}
	}
	return nil
}

// unobserved: the set's status does not tell yet what its controller knows.
func (s statefulSet) unobserved() bool {
	w := s.Workload
	return w.ObservedGeneration < w.Generation || w.Current == (Revision{})
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

// takeBack deletes pods that should be stable ones, behind a closed gate, so that they come back as such.
// What is not available goes at once; the others one by one, highest first, while everybody else is
// available, or once the step's deadline is over as soon as those that went before are back.
func (s statefulSet) takeBack(surplus []Pod, now time.Time) *Move {
	r := s.Release
	switch {
	case len(surplus) == 0 || s.Workload.Current == r.Canary: // they would come back as they are
		return nil
	case r.Gate != nil:
		return s.setGate(nil)
	case s.unobserved():
		return &Move{Wait: lookEvery}
	}
	slices.SortFunc(surplus, func(a, b Pod) int { return cmp.Compare(b.Index, a.Index) })
	for i := range surplus {
		if !surplus[i].Available {
			return &Move{Write: &Write{DeletePod: &surplus[i]}}
		}
	}
	if !s.mayMiss(surplus[0], now) {
		return &Move{Wait: lookEvery}
	}
	return &Move{Write: &Write{DeletePod: &surplus[0]}}
}

// mayMiss tells whether the set can do without an available pod until it is made anew. In order, none is
// made while a lower one is not ready.
func (s statefulSet) mayMiss(missed Pod, now time.Time) bool {
	available, above := int32(0), int32(0)
	for _, pod := range s.Pods {
		switch {
		case pod.Terminating:
		case s.Workload.InOrder && pod.Index < missed.Index && !pod.Ready:
			return false
		case pod.Available && pod.Index > missed.Index:
			above++ // where those are that went before
			fallthrough
		case pod.Available:
			available++
		}
	}
	return available >= s.Workload.Replicas || (above == s.Workload.Replicas-1-missed.Index && s.Release.overdue(now))
}

// unstick deletes a pod that is not ready and is to be replaced: in order, the controller waits for it
// before it replaces any. Source: kubernetes/kubernetes#67250.
func (s statefulSet) unstick(partition int32, version Revision) *Move {
	if !s.Workload.InOrder || s.Workload.ObservedGeneration < s.Workload.Generation {
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
