package screen

import (
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/cmd/kubectl-sluice/diff"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// History shows the versions of a workload, the newest first, and who drove its release.
func History(h *report.ReleaseHistory, now time.Time) ([]Line, error) {
	t := newTable("REVISION", "NAME", "ROLE", "PODS", "IMAGES", "CONFIG", "AGE", "CHANGE-CAUSE")
	for _, r := range h.Revisions {
		number, role, config, cause := none, r.Role, none, r.ChangeCause
		if r.Number > 0 {
			number = fmt.Sprint(r.Number)
		}
		if role == report.RoleEarlier {
			role = ""
		}
		if cause == "" {
			cause = none
		}
		if r.ConfigDigest != "" {
			config = diff.ShortDigest(r.ConfigDigest)
		}
		t.add(roleStyle(r.Role), number, r.Name, role, fmt.Sprintf("%d/%d", r.Available, r.Wanted),
			strings.Join(r.Images, ","), config, age(&r.Created, now), cause)
	}
	lines, err := t.lines()
	lines = append(lines, notes(h.Notes)...)
	if err != nil || h.Release == nil {
		return lines, err
	}
	r := h.Release
	lines = append(lines, Line{}, field("Release", fmt.Sprint(r.ID), Plain))
	if r.Author != "" {
		lines = append(lines, field("Author", r.Author, Plain))
	}
	if r.Config != "" {
		lines = append(lines, field("Config", r.Config, Plain))
	}
	lines = append(lines, field("Phase", phase(r, now), phaseStyle(r.Phase)))
	for _, a := range r.Approvals {
		text := fmt.Sprintf("step %d by %s", a.Step, a.By)
		if a.Full {
			text += ", with all after it"
		}
		lines = append(lines, field("Approved", text, Plain))
	}
	return lines, nil
}

func roleStyle(role string) Style {
	switch role {
	case report.RoleStable:
		return Good
	case report.RoleCanary:
		return Warn
	}
	return Plain
}
