package canary

import (
	"fmt"
	"strings"
)

// Events on the workload, one for each transition.

// seen tells of a phase that admission set or that the deadline brought.
func seen(r *Release) *Event {
	switch r.Phase {
	case Progressing:
		if r.Step == 0 {
			return &Event{Reason: "ReleaseHeld", Message: fmt.Sprintf("release %d of the new version starts at step 1 when the workload is resumed", r.ID)}
		}
		return &Event{Reason: "ReleaseHeld", Message: fmt.Sprintf("release %d: the new version is held at step %d of %d (%s)%s", r.ID, r.Step, len(r.Policy.steps()), r.Policy.Steps, because(r))}
	case Aborted:
		return &Event{Warning: true, Reason: "ReleaseAborted", Message: fmt.Sprintf("release %d aborted at step %d: %s", r.ID, r.Step, r.Reason)}
	case Reverting:
		return &Event{Reason: "ReleaseReverting", Message: fmt.Sprintf("release %d: %s", r.ID, r.Reason)}
	case Promoting:
		return promoting(r)
	case Waiting: // only the controller sets it, with its own event
	}
	return nil
}

// because names the config that a release is about.
func because(r *Release) string {
	if r.Cause == "" {
		return ""
	}
	return "; config changed: " + r.Cause
}

func waiting(o Observed, r *Release) *Event {
	step := r.Policy.step(r.Step)
	has := fmt.Sprintf("has its %d %s available", o.size(), plural(o.size(), "pod"))
	if o.size() == 0 {
		has = "has no canary, since a StatefulSet keeps one stable pod"
	}
	goesOn := "kubectl rollout resume approves it"
	if o.Kind == StatefulSet {
		goesOn = fmt.Sprintf("the annotation %s=%s approves it", ApproveAnnotation, r.ApproveValue())
	}
	if step.Wait > 0 {
		goesOn = fmt.Sprintf("it goes on by itself after %s", step.Wait)
	}
	return &Event{Reason: "ReleaseWaiting", Message: fmt.Sprintf("release %d: step %d of %d %s; %s",
		r.ID, r.Step, len(r.Policy.steps()), has, goesOn)}
}

func unwell(r *Release) *Event {
	return &Event{Warning: true, Reason: "ReleaseProgressing", Message: fmt.Sprintf("release %d: step %d is not ready any more: %s", r.ID, r.Step, r.Reason)}
}

func failing(r *Release) *Event {
	return &Event{Warning: true, Reason: "CanaryFailing", Message: fmt.Sprintf("release %d: step %d: %s", r.ID, r.Step, r.Reason)}
}

// routed tells what stands in front of the workload.
func routed(r *Release) *Event {
	if r.Traffic == nil {
		return &Event{Reason: "RoutesFound", Message: fmt.Sprintf("release %d: no route divides requests, pods share them by their number", r.ID)}
	}
	divided := "no route divides requests, pods share them by their number"
	if len(r.Traffic.Routes) > 0 {
		divided = "requests are divided by " + strings.Join(r.Traffic.Routes, ", ")
	}
	return &Event{Reason: "RoutesFound", Message: fmt.Sprintf("release %d: %s", r.ID, strings.Join(append([]string{divided}, r.Traffic.Notes...), "; "))}
}

func passed(r *Release, by string) *Event {
	return &Event{Reason: "ReleaseApproved", Message: fmt.Sprintf("release %d: step %d of %d approved by %s", r.ID, r.Step, len(r.Policy.steps()), by)}
}

func promoting(r *Release) *Event {
	how := "the canary's pods stay and the rest is rolled out" // sequences M and P
	if r.Sequence == SequenceC {
		how = "all pods are rolled out while the canary stays as extra capacity"
	}
	return &Event{Reason: "ReleasePromoting", Message: fmt.Sprintf("release %d: %s", r.ID, how)}
}

func restored(r *Release) *Event {
	return &Event{Warning: true, Reason: "StableRestored", Message: fmt.Sprintf("release %d: the stable ReplicaSet was gone or empty and is brought back", r.ID)}
}

func lifted(r *Release) *Event {
	return &Event{Warning: true, Reason: "HoldLifted", Message: fmt.Sprintf("release %d was found not held by its spec, which somebody changed while sluice's webhook was away; it is held again", r.ID)}
}

func ended(r *Release) *Event {
	if r.Phase == Reverting {
		return &Event{Reason: "ReleaseReverted", Message: fmt.Sprintf("release %d ended: the stable version runs alone", r.ID)}
	}
	return &Event{Reason: "ReleasePromoted", Message: fmt.Sprintf("release %d ended: the new version is the stable one", r.ID)}
}
