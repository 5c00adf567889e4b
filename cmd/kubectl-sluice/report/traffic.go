package report

import (
	"strings"

	"sluice.dev/sluice/canary"
)

// Traffic is how requests reach the versions while there is a release: by routes that divide them, and by the number
// of pods for whoever calls a Service, as everybody inside the cluster does.
type Traffic struct {
	// Services select the pods of both versions; absent where sluice found no route to one.
	Services []string `json:"services,omitempty"`
	// Pods are the available ones of all versions, CanaryPods those of the canary among them.
	Pods       int32 `json:"pods"`
	CanaryPods int32 `json:"canaryPods"`
	// PodWeight is what the canary gets by the number of pods, in percent, rounded.
	PodWeight int32 `json:"podWeight"`
	// Routes are those that are divided: "httproute/web".
	Routes []string `json:"routes,omitempty"`
	// Weight is what the canary gets of their requests, in percent. Absent where none is divided: then the Services,
	// and so the number of pods, decide.
	Weight *int32 `json:"weight,omitempty"`
	// Coming: it is to get that, and has no more than that until then.
	Coming bool `json:"coming,omitempty"`
	// Match are requests that it gets whatever the weight: "header:NAME=VALUE".
	Match string `json:"match,omitempty"`
	// Notes say what is not divided and why, and what makes a share inexact.
	Notes []string `json:"notes,omitempty"`
}

// traffic returns how requests reach the versions; nil: the canary has no pods, and nothing was found that could send
// it requests.
func (s *ReleaseStatus) traffic(of *canary.Release) *Traffic {
	if of == nil {
		return nil
	}
	t := &Traffic{}
	for _, r := range s.Revisions {
		t.Pods += r.Available
		if r.Role == RoleCanary {
			t.CanaryPods += r.Available
		}
	}
	if t.CanaryPods > 0 {
		t.PodWeight = (t.CanaryPods*100 + t.Pods/2) / t.Pods
	}
	if found := of.Traffic; found != nil {
		t.Services, t.Routes, t.Notes = found.Services, found.Routes, found.Notes
	}
	if len(t.Routes) > 0 {
		t.weigh(of)
	}
	if t.CanaryPods == 0 && len(t.Services) == 0 && len(t.Routes) == 0 && len(t.Notes) == 0 {
		return nil
	}
	return t
}

// weigh adds what the release divides by in its phase: a step waits only once every route says so.
func (t *Traffic) weigh(r *canary.Release) {
	weight := int32(0)
	switch r.Phase {
	case canary.Progressing, canary.Waiting:
		steps, err := canary.ParseSteps(r.Policy.Steps)
		if err == nil && r.Step > 0 && r.Step <= len(steps) {
			weight, t.Match = steps[r.Step-1].Weight, r.Policy.Match
		}
		t.Coming = (r.Phase == canary.Progressing && (weight > 0 || t.Match != "")) || hindrance(r.Reason) != ""
	case canary.Aborted, canary.Reverting:
	case canary.Promoting:
		return // requests go to the Service itself
	default:
		return // of a newer sluice
	}
	t.Weight = &weight
}

// hindrance is what sluice says where requests cannot be divided, empty where it says something else.
func hindrance(reason string) string {
	if strings.HasPrefix(reason, "requests are not divided") {
		return reason
	}
	return ""
}
