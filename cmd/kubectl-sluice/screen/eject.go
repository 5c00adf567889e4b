package screen

import (
	"fmt"
	"strings"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// Ejections shows what is done to each workload, one line each.
func Ejections(items []report.Ejection) ([]Line, error) {
	t := newTable("NAMESPACE", "NAME", "RELEASE", "PHASE", "ENDS BY", "AFTERWARDS")
	for _, item := range items {
		style, release, phase, ends := Plain, any("<none>"), "<none>", "<none>"
		if item.Release > 0 {
			style, release, phase, ends = phaseStyle(item.Phase), item.Release, item.Phase, item.Ending
		}
		t.add(style, item.Namespace, strings.ToLower(item.Kind)+"/"+item.Name, release, phase, ends, afterwards(item))
	}
	return t.lines()
}

// afterwards says what becomes of a workload, and of its requests.
func afterwards(e report.Ejection) string {
	text := e.Afterwards
	if len(e.Routes) > 0 {
		text += "; given back: " + strings.Join(e.Routes, ", ")
	}
	if len(e.Services) > 0 {
		text += "; deleted: service/" + strings.Join(e.Services, ", service/")
	}
	return text
}

// Undecided shows releases of which nobody said how they end.
func Undecided(items []report.Ejection) ([]Line, error) {
	t := newTable("NAMESPACE", "NAME", "RELEASE", "PHASE")
	for _, item := range items {
		t.add(phaseStyle(item.Phase), item.Namespace, strings.ToLower(item.Kind)+"/"+item.Name, item.Release, item.Phase)
	}
	return t.lines()
}

// Endings explains the ways to end a release, after what stands before their flags.
func Endings(before string) []Line {
	var lines []Line
	for _, way := range []struct {
		ending canary.Ending
		means  string
	}{
		{canary.EndPromoted, "the new version stays in the spec and rolls out natively"},
		{canary.EndReverted, "the stable version goes back into the spec, which then is not what was applied last"},
		{canary.EndPaused, "the new version stays in the spec, paused, without pods, for kubectl rollout resume"},
	} {
		lines = append(lines, Said(fmt.Sprintf("%s--%-14s%s", before, way.ending, way.means)))
	}
	return lines
}
