package watch

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// service is what the judge knows of one Service.
type service struct {
	ready map[types.UID]int // endpoints, by EndpointSlice
	// served: it had ready endpoints once all pods of the workload behind it were available.
	served bool
	behind types.UID
}

func (s *service) endpoints() int {
	sum := 0
	for _, ready := range s.ready {
		sum += ready
	}
	return sum
}

// observeSlice leaves out sluice's own Services, of which a version has one: its pods come and go. That they are there
// while requests are sent to it, only requests show.
func (j *judge) observeSlice(e Event) {
	if e.Slice.Labels[canary.WorkloadLabel] != "" {
		return
	}
	name := serviceOf(e.Slice)
	s := j.services[name]
	if s == nil {
		s = &service{ready: map[types.UID]int{}}
		j.services[name] = s
	}
	if e.Deleted {
		delete(s.ready, e.Slice.UID)
		s.served = s.served && len(s.ready) > 0
		return
	}
	s.ready[e.Slice.UID] = readyEndpoints(e.Slice)
	for _, endpoint := range e.Slice.Endpoints {
		if endpoint.TargetRef == nil {
			continue
		}
		uid, _ := j.workload(j.pods[endpoint.TargetRef.UID])
		if w := j.workloads[uid]; w != nil && w.all.reached && w.serves() && s.endpoints() > 0 {
			s.served, s.behind = true, uid
		}
	}
}

// serves: endpoints have to be there. Where a StatefulSet has one pod besides the one that is replaced, the
// native controllers may take that one too, since the endpoints of the first come a moment later.
func (w *workload) serves() bool {
	if w.isSet() {
		return w.all.n-w.current.unavailable >= 2
	}
	return w.all.n > 0
}

// checkServices judges each Service for as long as the workload behind it is to run and no test takes
// its pods away.
func (j *judge) checkServices(e Event) {
	for name, s := range j.services {
		w := j.workloads[s.behind]
		switch {
		case !s.served:
		case w == nil || w.disturbed || w.current.n == 0 || !w.serves():
			s.served = false
		case s.endpoints() == 0:
			j.violate(e, "endpoints", "service %s has no ready endpoint; pods: %s", name, j.describe(s.behind))
		}
	}
}

func serviceOf(s *discoveryv1.EndpointSlice) string { return s.Labels[discoveryv1.LabelServiceName] }

// readyEndpoints counts the pods that receive traffic.
func readyEndpoints(s *discoveryv1.EndpointSlice) int {
	count := 0
	for _, endpoint := range s.Endpoints {
		pod := endpoint.TargetRef != nil && endpoint.TargetRef.Kind == "Pod"
		if pod && endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
			count++
		}
	}
	return count
}
