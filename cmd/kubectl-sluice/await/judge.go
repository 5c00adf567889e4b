package await

import (
	"fmt"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// Goal is what is waited for.
type Goal string

// The goals.
const (
	Held     Goal = "held"
	Promoted Goal = "promoted"
	Aborted  Goal = "aborted"
)

// Goals are all there are.
var Goals = []Goal{Held, Promoted, Aborted}

// Outcome is what a look at the workload tells.
type Outcome int

// The outcomes.
const (
	// Undecided: wait on.
	Undecided Outcome = iota
	Reached
	// Missed: the release can't reach the goal any more.
	Missed
	// Unknown: the release was over before anybody looked.
	Unknown
)

// Verdict is an outcome and what to say about it.
type Verdict struct {
	Outcome Outcome
	Message string
}

// Judge follows one release through the versions of its workload, oldest first.
type Judge struct {
	goal Goal
	// id of the release; 0: there was none from the start.
	id     int64
	begun  bool
	seen   *canary.Release    // as it was seen last
	native *workload.Workload // as it was seen first, without a release
}

// NewJudge returns the judge of a release; 0: of the one that the first look finds.
func NewJudge(goal Goal, release int64) *Judge {
	return &Judge{goal: goal, id: release}
}

// See judges the next version of the workload.
func (j *Judge) See(w *workload.Workload) Verdict {
	if !j.begun {
		j.begun = true
		switch {
		case j.id != 0:
		case w.Release != nil:
			j.id = w.Release.ID
		default:
			j.native = w
		}
	}
	switch r := w.Release; {
	case j.native != nil:
		return j.seeNative(w)
	case r == nil && j.seen == nil:
		return Verdict{Unknown, fmt.Sprintf("%s has no release", w.Ref)}
	case r == nil:
		return j.over(w)
	case r.ID < j.id:
		return Verdict{Unknown, fmt.Sprintf("%s is at release %d", w.Ref, r.ID)}
	case r.ID > j.id:
		return missed("release %d of %s was superseded by release %d", j.id, w.Ref, r.ID)
	}
	j.seen = w.Release
	return j.phase(w)
}

func (j *Judge) reached(g Goal, format string, args ...any) Verdict {
	if j.goal == g {
		return Verdict{Reached, fmt.Sprintf(format, args...)}
	}
	return missed(format, args...)
}

func missed(format string, args ...any) Verdict {
	return Verdict{Missed, fmt.Sprintf(format, args...)}
}

// undecided says where the release stands, for whoever runs out of time.
func undecided(format string, args ...any) Verdict {
	return Verdict{Undecided, fmt.Sprintf(format, args...)}
}

func (j *Judge) phase(w *workload.Workload) Verdict {
	r := w.Release
	name := fmt.Sprintf("release %d of %s", r.ID, w.Ref)
	switch {
	case r.Phase == canary.Waiting && j.goal == Held:
		return j.reached(Held, "%s is held at step %d", name, r.Step)
	case r.Phase == canary.Aborted:
		return j.reached(Aborted, "%s is aborted: %s", name, r.Reason)
	case r.Phase == canary.Reverting:
		return missed("%s is being reverted: %s", name, r.Reason)
	case r.Phase == canary.Promoting && (j.goal == Held || (j.goal == Aborted && !r.Holds())):
		return missed("%s is being promoted", name)
	}
	return undecided("%s is %s at step %d", name, r.Phase, r.Step)
}

// over judges a release that is gone: by the template that it leaves, which is the canary's, the stable
// one, or another. The digest decides where only config differed.
func (j *Judge) over(w *workload.Workload) Verdict {
	name := fmt.Sprintf("release %d of %s", j.id, w.Ref)
	promoted, reverted := w.TemplateHash == j.seen.Canary.Hash, w.TemplateHash == j.seen.Stable.Hash
	if promoted && reverted {
		promoted = w.Digest == j.seen.Canary.Digest
	}
	switch {
	case promoted && !w.Updated():
		return undecided("%s is over, and not every pod runs its version yet", name)
	case promoted:
		return j.reached(Promoted, "%s is promoted", name)
	case reverted:
		return missed("%s was reverted: the stable version is back", name)
	}
	return missed("%s is over, and another version is in the spec", name)
}

// seeNative judges a workload that had no release from the start.
func (j *Judge) seeNative(w *workload.Workload) Verdict {
	switch {
	case w.Release != nil:
		return missed("%s had no release, and release %d has begun", w.Ref, w.Release.ID)
	case w.TemplateHash != j.native.TemplateHash || w.Digest != j.native.Digest:
		return missed("%s had no release, and another version is in the spec now", w.Ref)
	case j.goal != Promoted:
		return missed("%s has no release", w.Ref)
	case w.RolledOut():
		return Verdict{Reached, fmt.Sprintf("%s has no release, and its version is rolled out", w.Ref)}
	}
	return undecided("%s has no release, and %d of %d pods of its version are updated, %d available",
		w.Ref, w.Status.UpdatedReplicas, w.Replicas, w.Status.AvailableReplicas)
}
