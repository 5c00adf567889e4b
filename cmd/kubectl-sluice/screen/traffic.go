package screen

import (
	"fmt"
	"strings"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// traffic shows what share of the requests the canary gets, by which way.
func traffic(t *report.Traffic) []Line {
	if t == nil {
		return nil
	}
	var lines []Line
	add := func(text string, style Style) {
		name := ""
		if len(lines) == 0 {
			name = "Traffic"
		}
		lines = append(lines, field(name, text, style))
	}
	if t.Weight != nil {
		add(byRoutes(t), Plain)
	}
	if t.CanaryPods > 0 {
		add(fmt.Sprintf("%d of %d pods: %d%% of requests by %s", t.CanaryPods, t.Pods, t.PodWeight, byServices(t.Services)), Plain)
	}
	for _, note := range t.Notes {
		add(note, Warn)
	}
	return lines
}

func byRoutes(t *report.Traffic) string {
	text := fmt.Sprintf("%d%% of requests by %s", *t.Weight, strings.Join(t.Routes, ", "))
	if t.Match != "" {
		text += ", and all with " + t.Match
	}
	if t.Coming {
		return "on the way to " + text
	}
	return text
}

func byServices(names []string) string {
	switch len(names) {
	case 0:
		return "a Service"
	case 1:
		return "Service " + names[0]
	}
	return "Services " + strings.Join(names, ", ")
}
