package screen

import (
	"fmt"
	"strings"
	"unicode"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

func notes(notes []string) []Line {
	var lines []Line
	for _, note := range notes {
		lines = append(lines, styled("Note: "+note, Warn))
	}
	return lines
}

// outlook is why the release waits and what goes on.
func outlook(s *report.ReleaseStatus) []Line {
	lines := []Line{styled(capitalized(s.Reason)+".", Strong)}
	width := 0
	for _, c := range s.Next {
		width = max(width, len(c.Does))
	}
	for _, c := range s.Next {
		lines = append(lines, plain(fmt.Sprintf("To %-*s %s", width+1, c.Does+":", c.Run)))
	}
	return lines
}

func capitalized(sentence string) string {
	runes := []rune(sentence)
	if len(runes) > 0 {
		runes[0] = unicode.ToUpper(runes[0])
	}
	return string(runes)
}

// Event is one line about a status, for output that cannot be drawn over. It changes when the state
// does, and not with time.
func Event(s *report.ReleaseStatus) Line {
	name := strings.ToLower(s.Workload.Kind) + "/" + s.Workload.Name
	r := s.Release
	if r == nil {
		return plain(name + ": " + s.Reason)
	}
	return plain(fmt.Sprintf("%s: release %d %s, step %d/%d, pods %s: %s", name, r.ID, r.Phase, r.Step, len(r.Steps), canaryPods(s), s.Reason))
}
