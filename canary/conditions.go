package canary

import (
	"cmp"
	"fmt"
	"slices"
)

// Types of the conditions that sluice sets in the status of a workload with a release, for kstatus and
// what is built on it, as Flux and Helm 4. They are there only while they are true.
// Source: sigs.k8s.io/cli-utils pkg/kstatus, whose abnormal-true conditions they are.
const (
	// ConditionReconciling: the release goes on by itself.
	ConditionReconciling = "Reconciling"
	// ConditionStalled: the release is aborted. Only another version, the old one, or a retry goes on.
	ConditionStalled = "Stalled"
)

// IsOurs tells whether sluice set the condition: its reason is the phase of a release.
func (c Condition) IsOurs() bool {
	return c.OfOurType() && Phase(c.Reason).known()
}

// OfOurType tells whether sluice may set a condition of this type. Others may, too.
func (c Condition) OfOurType() bool {
	return c.Type == ConditionReconciling || c.Type == ConditionStalled
}

// condition returns the one condition that tells of a release, nil while a person is awaited.
func (r *Release) condition() *Condition {
	duration := r.Policy.step(r.Step).Wait
	switch {
	case r.Phase == Aborted:
		return r.is(ConditionStalled, "aborted")
	case r.Phase == Waiting && duration > 0:
		return r.is(ConditionReconciling, fmt.Sprintf("goes on by itself after %s", duration))
	case r.Phase == Waiting, r.Phase == Progressing && r.Step == 0:
		return nil
	case r.Phase == Progressing:
		return r.is(ConditionReconciling, "the canary's pods are awaited")
	}
	return r.is(ConditionReconciling, "the native rollout is awaited")
}

func (r *Release) is(kind, because string) *Condition {
	return &Condition{
		Type: kind, Status: "True", Reason: string(r.Phase),
		Message: fmt.Sprintf("release %d, step %d of %d: %s", r.ID, r.Step, len(r.Policy.steps()), cmp.Or(r.Reason, because)),
	}
}

// misleads: the workload is still said to be stalled, by a release before or before it was tried again.
// Whoever deploys a fix would be told of the failure of what it fixes.
func misleads(o Observed) bool {
	stalled := func(c Condition) bool { return c.Type == ConditionStalled && c.IsOurs() }
	return o.Release.Phase != Aborted && o.Release.Phase.known() && slices.ContainsFunc(o.Workload.Conditions, stalled)
}

// isTold: the workload has a condition of sluice's.
func (o Observed) isTold() bool { return slices.ContainsFunc(o.Workload.Conditions, Condition.IsOurs) }

// tell brings the workload's conditions in line with the state of its release. One of the same type that
// somebody else set stays.
func tell(o Observed) *Write {
	want := o.Release.condition()
	taken := func(c Condition) bool { return want != nil && c.Type == want.Type && !c.IsOurs() }
	if slices.ContainsFunc(o.Workload.Conditions, taken) {
		want = nil
	}
	own := slices.DeleteFunc(slices.Clone(o.Workload.Conditions), func(c Condition) bool { return !c.IsOurs() })
	switch {
	case !o.Release.Phase.known():
		return nil
	case want == nil && len(own) == 0:
		return nil
	case want == nil:
		return &Write{ClearConditions: true}
	case len(own) == 1 && own[0] == *want:
		return nil
	}
	return &Write{SetCondition: want}
}
