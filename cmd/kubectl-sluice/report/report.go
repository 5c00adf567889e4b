package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/diff"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// waitsForApproval is the value of Step.Wait of a step that somebody approves.
const waitsForApproval = "approve"

// Status returns where the release of a workload stands. Target names the workload in commands.
func Status(s *workload.Snapshot, target Target) (*ReleaseStatus, error) {
	status := &ReleaseStatus{
		APIVersion: APIVersion, Kind: StatusKind,
		Workload: workloadOf(s.Workload),
		Release:  releaseOf(s.Workload),
		Notes:    s.Notes,
	}
	for _, revision := range sorted(s.Revisions) {
		if revision.Role == workload.Earlier && revision.Wanted == 0 && revision.Available == 0 {
			continue // the history
		}
		status.Revisions = append(status.Revisions, revisionOf(revision, podsOf(s, revision)))
	}
	status.Traffic = status.traffic(s.Release)
	if s.Stable != nil {
		changes, err := diff.Templates(s.Stable, s.Template)
		if err != nil {
			return nil, fmt.Errorf("comparing the versions of %s: %w", s.Ref, err)
		}
		for _, c := range changes {
			status.Changes = append(status.Changes, Change(c))
		}
	}
	status.situation(target)
	return status, nil
}

// Listed returns the status of a workload as `list` shows it, without pods and changes; canary is nil
// where there is no canary, or where nobody may see it.
func Listed(w *workload.Workload, canary *workload.Revision, target Target) ReleaseStatus {
	status := ReleaseStatus{
		APIVersion: APIVersion, Kind: StatusKind,
		Workload: workloadOf(w),
		Release:  releaseOf(w),
	}
	if canary != nil {
		status.Revisions = []Revision{revisionOf(*canary, nil)}
	}
	status.situation(target)
	return status
}

// History returns every version of a workload that the cluster knows.
func History(s *workload.Snapshot) *ReleaseHistory {
	h := &ReleaseHistory{
		APIVersion: APIVersion, Kind: HistoryKind,
		Workload:  workloadOf(s.Workload),
		Release:   releaseOf(s.Workload),
		Revisions: []Revision{},
		Notes:     s.Notes,
	}
	revisions := slices.Clone(s.Revisions)
	slices.SortFunc(revisions, func(a, b workload.Revision) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Number, a.Number), cmp.Compare(a.Name, b.Name))
	})
	for _, revision := range revisions {
		h.Revisions = append(h.Revisions, revisionOf(revision, nil))
	}
	return h
}

func workloadOf(w *workload.Workload) Workload {
	return Workload{
		Kind: w.Kind.Name, Namespace: w.Namespace, Name: w.Name, Generation: w.Generation,
		Replicas:          w.Replicas,
		AvailableReplicas: w.Status.AvailableReplicas,
		UpdatedReplicas:   w.Status.UpdatedReplicas,
		RolledOut:         w.RolledOut(),
		Images:            images(w.Template),
	}
}

func releaseOf(w *workload.Workload) *Release {
	r := w.Release
	if r == nil {
		return nil
	}
	release := &Release{
		ID: r.ID, Phase: string(r.Phase), Step: r.Step,
		Steps:            stepsOf(w),
		Since:            r.Since,
		Author:           r.Author,
		Config:           r.Cause,
		FourEyes:         r.Policy.FourEyes,
		ProgressDeadline: time.Duration(r.Policy.Deadline).String(),
		Message:          r.Reason,
	}
	for _, a := range r.Approvals {
		release.Approvals = append(release.Approvals, Approval(a))
	}
	if d := lasts(r, release); d > 0 && r.Since != nil {
		until := r.Since.Add(d)
		release.Until = &until
	}
	return release
}

// lasts returns how long the phase lasts at most, 0 where nothing ends it by itself.
func lasts(r *canary.Release, release *Release) time.Duration {
	switch r.Phase {
	case canary.Progressing:
		if r.Step > 0 {
			return time.Duration(r.Policy.Deadline)
		}
	case canary.Waiting:
		if step := release.Current(); step != nil {
			d, _ := time.ParseDuration(step.Wait) // "approve" is none
			return d
		}
	case canary.Promoting, canary.Aborted, canary.Reverting:
	}
	return 0
}

// Current returns the current step, nil where the release has not begun or its steps are over.
func (r *Release) Current() *Step {
	if r.Step < 1 || r.Step > len(r.Steps) || r.Phase == string(canary.Promoting) {
		return nil
	}
	return &r.Steps[r.Step-1]
}

func stepsOf(w *workload.Workload) []Step {
	parsed, err := canary.ParseSteps(w.Release.Policy.Steps)
	if err != nil {
		return nil // of a newer version of sluice
	}
	steps := make([]Step, len(parsed))
	for i, step := range parsed {
		steps[i] = Step{
			Weight: step.Weight, Pods: w.StepSize(step), Wait: waitsForApproval, ApprovedBy: w.Release.ApprovedBy(i + 1),
		}
		if step.Wait > 0 {
			steps[i].Wait = step.Wait.String()
		}
	}
	return steps
}

// sorted returns the revisions as they are shown: stable, canary, the others, each with the newest first.
func sorted(revisions []workload.Revision) []workload.Revision {
	order := []workload.Role{workload.Stable, workload.Canary, workload.Earlier}
	revisions = slices.Clone(revisions)
	slices.SortFunc(revisions, func(a, b workload.Revision) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Role), slices.Index(order, b.Role)),
			b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	return revisions
}

func revisionOf(r workload.Revision, pods []Pod) Revision {
	return Revision{
		Role: string(r.Role), Name: r.Name, Number: r.Number, Images: images(r.Template), ConfigDigest: r.Digest,
		Wanted: r.Wanted, Available: r.Available, Pods: pods,
		Created: r.Created.UTC(), ChangeCause: r.ChangeCause, Failure: r.Failure,
	}
}

// podsOf returns the pods of a revision, those in trouble first.
func podsOf(s *workload.Snapshot, revision workload.Revision) []Pod {
	var pods []Pod
	for i := range s.Pods {
		if revision.PodLabel != "" && s.Pods[i].Labels[s.Kind.PodLabel] == revision.PodLabel {
			pods = append(pods, podOf(&s.Pods[i]))
		}
	}
	slices.SortFunc(pods, func(a, b Pod) int {
		return cmp.Or(compareBool(a.Available, b.Available), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// images returns the images of a template's containers.
func images(template json.RawMessage) []string {
	var t struct {
		Spec struct {
			Containers []corev1.Container `json:"containers"`
		} `json:"spec"`
	}
	found := []string{}
	if json.Unmarshal(template, &t) != nil {
		return found // the API server takes no such template
	}
	for _, c := range t.Spec.Containers {
		found = append(found, c.Image)
	}
	return found
}
