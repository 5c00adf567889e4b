package screen

import (
	"fmt"
	"strings"
	"time"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
)

// List shows the workloads that have a release, one line each. AGE is how long the release has been in
// its phase and step.
func List(list *report.ReleaseStatusList, now time.Time, wide bool) ([]Line, error) {
	columns := []string{"NAMESPACE", "NAME", "RELEASE", "PHASE", "STEP", "WEIGHT", "PODS", "AGE"}
	if wide {
		columns = append(columns, "AUTHOR", "IMAGES", "REASON")
	}
	t := newTable(columns...)
	for i := range list.Items {
		s := &list.Items[i]
		r := s.Release
		cells := []any{
			s.Workload.Namespace, strings.ToLower(s.Workload.Kind) + "/" + s.Workload.Name,
			r.ID, r.Phase, fmt.Sprintf("%d/%d", r.Step, len(r.Steps)), weight(r), canaryPods(s), age(r.Since, now),
		}
		if wide {
			cells = append(cells, r.Author, strings.Join(s.Workload.Images, ","), s.Reason)
		}
		t.add(phaseStyle(r.Phase), cells...)
	}
	return t.lines()
}

// weight of the traffic that the canary gets; none where it was aborted.
func weight(r *report.Release) string {
	switch {
	case r.Phase == string(canary.Aborted) || r.Phase == string(canary.Reverting) || r.Step == 0:
		return "0%"
	case r.Step > len(r.Steps):
		return "<unknown>"
	}
	return fmt.Sprintf("%d%%", r.Steps[r.Step-1].Weight)
}

// canaryPods counts the available pods of the canary and those that it is to have.
func canaryPods(s *report.ReleaseStatus) string {
	if c := s.Canary(); c != nil {
		return fmt.Sprintf("%d/%d", c.Available, c.Wanted)
	}
	if len(s.Notes) > 0 {
		return "<unknown>"
	}
	if s.Release.Phase == string(canary.Promoting) {
		return fmt.Sprintf("%d/%d", s.Workload.UpdatedReplicas, s.Workload.Replicas) // it is the native controller's already
	}
	wanted := int32(0)
	if step := s.Release.Current(); step != nil && (s.Release.Phase == string(canary.Progressing) || s.Release.Phase == string(canary.Waiting)) {
		wanted = step.Pods // they are still to be made
	}
	return fmt.Sprintf("0/%d", wanted)
}
