package screen

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// Detail bounds what is shown of a status.
type Detail struct {
	// Pods of each revision, and Changes of the pod template.
	Pods, Changes int
	// Bare: no empty lines.
	Bare bool
}

// Full is what is shown where there is room.
var Full = Detail{Pods: 20, Changes: 20}

// Status shows one workload.
func Status(s *report.ReleaseStatus, now time.Time, detail Detail) ([]Line, error) {
	sections := [][]Line{header(s, now)}
	for _, section := range []func(*report.ReleaseStatus, time.Time, Detail) ([]Line, error){steps, revisions, pods, changes} {
		lines, err := section(s, now, detail)
		if err != nil {
			return nil, err
		}
		sections = append(sections, lines)
	}
	sections = append(sections, notes(s.Notes), outlook(s))
	var all []Line
	for _, section := range sections {
		if len(section) == 0 {
			continue
		}
		if len(all) > 0 && !detail.Bare {
			all = append(all, Line{})
		}
		all = append(all, section...)
	}
	return all, nil
}

// field is a line of the header. Without a name it is one more value of the field above.
func field(name, value string, style Style) Line {
	if name != "" {
		name += ":"
	}
	return styled(fmt.Sprintf("%-13s%s", name, value), style)
}

func header(s *report.ReleaseStatus, now time.Time) []Line {
	w, r := s.Workload, s.Release
	lines := []Line{
		field("Name", strings.ToLower(w.Kind)+"/"+w.Name, Strong),
		field("Namespace", w.Namespace, Plain),
	}
	if r == nil {
		return append(lines,
			field("Release", none, Plain),
			field("Pods", fmt.Sprintf("%d of %d available", w.AvailableReplicas, w.Replicas), Plain),
			field("Images", strings.Join(w.Images, ", "), Plain))
	}
	by := fmt.Sprintf("%d", r.ID)
	if r.Author != "" {
		by += " by " + r.Author
	}
	lines = append(lines, field("Release", by, Plain))
	if r.Config != "" {
		lines = append(lines, field("Config", r.Config, Plain))
	}
	lines = append(lines, field("Phase", phase(r, now), phaseStyle(r.Phase)))
	return append(lines, traffic(s.Traffic)...)
}

// phase says how long it has lasted and what ends it by itself.
func phase(r *report.Release, now time.Time) string {
	text := r.Phase
	if r.Since != nil {
		text += " for " + age(r.Since, now)
	}
	if r.Until == nil {
		return text
	}
	left := duration.HumanDuration(max(r.Until.Sub(now), 0))
	if r.Phase == string(canary.Waiting) {
		return text + ", goes on in " + left
	}
	return text + ", aborted in " + left + " unless all canary pods are available"
}

func phaseStyle(phase string) Style {
	switch canary.Phase(phase) {
	case canary.Waiting, canary.Reverting:
		return Warn
	case canary.Promoting:
		return Good
	case canary.Aborted:
		return Bad
	case canary.Progressing:
	}
	return Plain
}

func steps(s *report.ReleaseStatus, _ time.Time, _ Detail) ([]Line, error) {
	r := s.Release
	if r == nil || len(r.Steps) == 0 {
		return nil, nil
	}
	t := newTable("CURRENT", "STEP", "WEIGHT", "PODS", "GOES ON")
	for i, step := range r.Steps {
		mark, style := "", Plain
		if r.Step == i+1 && r.Phase != string(canary.Promoting) {
			mark, style = "*", Strong
		}
		t.add(style, mark, i+1, fmt.Sprintf("%d%%", step.Weight), step.Pods, goesOn(r, i+1, step))
	}
	return t.lines()
}

func goesOn(r *report.Release, number int, step report.Step) string {
	for _, a := range r.Approvals {
		switch {
		case a.Step == number && a.Full:
			return "approved by " + a.By + ", with all after it"
		case a.Step == number:
			return "approved by " + a.By
		case a.Full && a.Step < number:
			return "skipped"
		}
	}
	if step.Wait == "approve" {
		return "when approved"
	}
	return "after " + report.Short(step.Wait)
}

func revisions(s *report.ReleaseStatus, now time.Time, _ Detail) ([]Line, error) {
	if len(s.Revisions) == 0 {
		return nil, nil
	}
	t := newTable("REVISION", "NAME", "PODS", "AGE", "IMAGES")
	for _, r := range s.Revisions {
		style := Plain
		if r.Failure != "" || (r.Available < r.Wanted && r.Role != report.RoleEarlier) {
			style = Bad
		}
		t.add(style, r.Role, r.Name, fmt.Sprintf("%d/%d", r.Available, r.Wanted), age(&r.Created, now), strings.Join(r.Images, ","))
	}
	return t.lines()
}

func pods(s *report.ReleaseStatus, now time.Time, detail Detail) ([]Line, error) {
	if detail.Pods == 0 {
		return nil, nil
	}
	t, more := newTable("POD", "REVISION", "READY", "STATUS", "RESTARTS", "AGE"), []Line{}
	for _, r := range s.Revisions {
		for _, p := range r.Pods[:min(len(r.Pods), detail.Pods)] {
			style := Plain
			if p.Trouble != "" {
				style = Bad
			}
			t.add(style, p.Name, r.Role, fmt.Sprintf("%d/%d", p.Ready, p.Containers), p.Status, p.Restarts, age(&p.Created, now))
		}
		if hidden := len(r.Pods) - detail.Pods; hidden > 0 {
			more = append(more, styled(fmt.Sprintf("... and %d more of %s", hidden, r.Name), Faint))
		}
	}
	if len(t.Rows) == 0 {
		return nil, nil
	}
	lines, err := t.lines()
	return append(lines, more...), err
}

// maxValue bounds a value in a change, in characters.
const maxValue = 80

func changes(s *report.ReleaseStatus, _ time.Time, detail Detail) ([]Line, error) {
	if len(s.Changes) == 0 || detail.Changes == 0 {
		return nil, nil
	}
	lines := []Line{plain("Changes against stable:")}
	for _, c := range s.Changes[:min(len(s.Changes), detail.Changes)] {
		lines = append(lines, plain(fmt.Sprintf("  %s: %s -> %s", c.Path, value(c.Before), value(c.After))))
	}
	if hidden := len(s.Changes) - detail.Changes; hidden > 0 {
		lines = append(lines, styled(fmt.Sprintf("  ... and %d more", hidden), Faint))
	}
	return lines, nil
}

// none stands for a value that is not there, as in kubectl's tables.
const none = "<none>"

func value(text *string) string {
	if text == nil {
		return none
	}
	return shorten(*text, maxValue)
}
