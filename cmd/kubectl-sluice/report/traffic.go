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
	// Coming: it is to get that, and does once every gateway has accepted it. Until then it has no more than that where
	// the release goes forward, and no less where it is aborted or reverted.
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
		s.weigh(t, of)
	}
	if t.CanaryPods == 0 && len(t.Services) == 0 && len(t.Routes) == 0 && len(t.Notes) == 0 {
		return nil
	}
	return t
}

// weigh adds what the routes divide by:
//
//	Progressing                 the step's share, which is coming: until then the canary has no more than it had before
//	Waiting                     the step's: it waits only once every gateway has accepted that
//	Promoting, held still       100 % for a canary of full size that has them all: it is the Service's only one by the
//	                            time that it loses them
//	Promoting                   nothing: requests go to the Service itself
//	Aborted, Reverting          none once its pods go, which waits for the gateways; until then what the canary had
//	Reverting, after Promoting  nothing: requests go to the Service itself
func (s *ReleaseStatus) weigh(t *Traffic, r *canary.Release) {
	weight := int32(0)
	switch r.Phase {
	case canary.Progressing, canary.Waiting:
		if weight = stepWeight(r); r.Step > 0 {
			t.Match = r.Policy.Match
		}
		t.Coming = (r.Phase == canary.Progressing && (weight > 0 || t.Match != "")) || hindrance(r.Reason) != ""
	case canary.Promoting:
		if weight = stepWeight(r); weight < 100 || !r.Holds() || !s.isWhole() {
			return
		}
	case canary.Aborted, canary.Reverting:
		if !r.Holds() && r.Sequence != "" {
			return
		}
		of := s.Canary()
		t.Coming = of != nil && (of.Wanted > 0 || of.Available > 0)
	default:
		return // of a newer sluice
	}
	t.Weight = &weight
}

// isWhole: the canary is of full size.
func (s *ReleaseStatus) isWhole() bool {
	of := s.Canary()
	return of != nil && of.Wanted >= s.Workload.Replicas
}

// stepWeight is the current step's, 0 before the first one.
func stepWeight(r *canary.Release) int32 {
	steps, err := canary.ParseSteps(r.Policy.Steps)
	if err != nil || r.Step < 1 || r.Step > len(steps) {
		return 0
	}
	return steps[r.Step-1].Weight
}

// hindrance is what sluice says where requests cannot be divided, empty where it says something else.
func hindrance(reason string) string {
	if strings.HasPrefix(reason, "requests are not divided") {
		return reason
	}
	return ""
}
