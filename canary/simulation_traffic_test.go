package canary

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// simTraffic is two routes in front of a simulated workload, whose gateway takes its time to accept what they say.
type simTraffic struct {
	routes []*simRoute
	// stable and canary are what sluice's Services select by, empty where they do not exist.
	stable, canary string
	// lag is how many rounds a gateway lets go by before it accepts a route.
	lag int
}

type simRoute struct {
	share    *Share // by its spec
	accepted *Share // by its gateway
	pending  int    // rounds until its gateway accepts it; accepted may be in force until then
}

// served is a simulated workload whose requests are divided.
type served interface {
	release() *Release
	observed() Observed
	// hashes are the values of the label by which the pods of the two versions differ; empty where one is not known.
	hashes(o Observed) (stable, canary string)
	// endpoints counts the ready pods of one version.
	endpoints(hash string) int32
	// only tells whether the Service itself has no endpoints but those of one version.
	only(hash string) bool
	notef(format string, args ...any)
}

func newSimTraffic() *simTraffic { return &simTraffic{routes: []*simRoute{{}, {}}} }

func (t *simTraffic) observed(s served, o Observed, now time.Time) Traffic {
	if t == nil {
		return Traffic{}
	}
	stable, canary := s.hashes(o)
	seen := Traffic{
		Found:           &Found{Services: []string{"web"}, Routes: []string{"httproute/0", "httproute/1"}},
		Missing:         t.stable == "" || t.canary == "" || (stable != "" && t.stable != stable),
		Astray:          t.canary != "" && canary != "" && t.canary != canary,
		Unnamed:         (stable == "" || canary == "") && (t.stable == "" || t.canary == ""),
		StableEndpoints: s.endpoints(t.stable), CanaryEndpoints: s.endpoints(t.canary),
		OnlyStable: s.only(t.stable) && s.endpoints(t.canary) == 0, OnlyCanary: s.only(t.canary),
	}
	for i, route := range t.routes {
		r := Route{Name: fmt.Sprintf("httproute/%d", i), Share: route.share, Changed: now}
		if route.pending > 0 {
			r.Waiting = "the gateway has not accepted it"
		}
		seen.Routes = append(seen.Routes, r)
	}
	return seen
}

// hashes leaves that of the stable version empty where its ReplicaSet is gone.
func (s *simulation) hashes(o Observed) (stable, canary string) {
	if set := o.stable(); set != nil {
		stable = s.find(set.UID).podHash
	}
	return stable, CanaryHash(o.Release)
}

func (s *simulation) endpoints(podHash string) int32 {
	for _, set := range s.sets {
		if set.podHash == podHash {
			return min(set.AvailableReplicas, set.StatusReplicas)
		}
	}
	return 0
}

func (s *simulation) only(podHash string) bool {
	for _, set := range s.sets {
		if set.podHash != podHash && min(set.AvailableReplicas, set.StatusReplicas) > 0 {
			return false
		}
	}
	return true
}

// selectPods makes or mends one of sluice's Services.
func (t *simTraffic) selectPods(of reporter, s served) {
	stable, canary := s.hashes(s.observed())
	if t.stable == "" || (stable != "" && t.stable != stable) {
		require.NotEmpty(of, stable, "no Service can select a version that is gone")
		t.stable = stable
		return
	}
	require.NotEmpty(of, canary, "no Service can select a version whose label nobody knows")
	t.canary = canary
}

func (t *simTraffic) steer(to *Share) {
	for _, route := range t.routes {
		if !SameShare(route.share, to) {
			route.share, route.pending = to, t.lag+1
			return
		}
	}
	panic("this is a bug: every route is there")
}

func (t *simTraffic) accept(s served) {
	if t == nil {
		return
	}
	for i, route := range t.routes {
		if route.pending == 0 {
			continue
		}
		if route.pending--; route.pending == 0 {
			route.accepted = route.share
		}
		s.notef("the gateway of route %d accepts in %d rounds: %v", i, route.pending, route.share)
	}
}

// inForce are the shares by which gateways divide requests, or may, each once.
func (t *simTraffic) inForce() []*Share {
	if t == nil {
		return nil
	}
	var shares []*Share
	for _, route := range t.routes {
		for _, share := range []*Share{route.share, route.accepted} {
			if !slices.ContainsFunc(shares, func(s *Share) bool { return SameShare(s, share) }) {
				shares = append(shares, share)
			}
		}
	}
	return shares
}

// answered: whatever is in force, somebody answers, and a canary that waits gets no more than its step allows.
func (t *simTraffic) answered(of reporter, s served, share *Share) {
	if share.Weight > 0 {
		require.NotZero(of, s.endpoints(t.canary), "%d %% of the requests go to a canary without pods", share.Weight)
	}
	if share.Weight < 100 {
		require.NotZero(of, s.endpoints(t.stable), "%d %% of the requests go to a stable version without pods", 100-share.Weight)
	}
	if r := s.release(); r != nil && r.Phase == Waiting {
		require.LessOrEqual(of, share.Weight, r.Policy.step(r.Step).Weight, "of step %d", r.Step)
	}
}

// checkTraffic: whatever is in force, somebody answers, and nobody who should get nothing.
func (s *simulation) checkTraffic() {
	if s.nocheck || s.state().Replicas == 0 {
		return
	}
	for _, share := range s.traffic.inForce() {
		switch {
		case share == nil:
			s.checkUndivided()
		case !s.mayFail():
			s.traffic.answered(s.t, s, share)
		}
	}
}

// checkUndivided: nobody approved what gets requests by the number of its pods.
func (s *simulation) checkUndivided() {
	r := s.release()
	if !r.Holds() || r.Restoring || s.observed().mixed() {
		return
	}
	for _, set := range s.sets {
		free := s.approved[set.version()] || set.ReleaseID == 0
		require.True(s.t, free || set.AvailableReplicas == 0, "pods of %s, which nobody approved, get requests by their number", set.Name)
	}
}

// mayFail: pods crash, or what was handed over already goes at once when the old version comes back; its pods serve
// while they end.
func (s *simulation) mayFail() bool {
	r := s.release()
	return slices.ContainsFunc(s.sets, func(set *simSet) bool {
		return set.broken || (set.podHash == s.traffic.canary && set.Marks.Phase == Promoting && r != nil && r.Phase == Reverting)
	})
}

// isGivenBack: no route is divided without a release.
func (t *simTraffic) isGivenBack(of reporter) {
	if t == nil {
		return
	}
	for _, route := range t.routes {
		require.Nil(of, route.share, "a route stays divided after the release")
	}
}

// TestEveryActionAtEveryMomentOfDividedRequests is TestEveryActionAtEveryMoment with routes.
func TestEveryActionAtEveryMomentOfDividedRequests(t *testing.T) {
	t.Parallel()
	actions := [][]string{
		{"abort"}, {"abort", "retry"}, {"v1"}, {"v1", "v2"}, {"v3"}, {"v3", "v1"}, {"broken"}, {"break"}, {"chart"},
		{"abort", "v3"}, {"past admission", "approve all"}, {"v3", "approve all"}, {"n3"}, {"v1", "approve all", "v2", "approve all", "v1", "approve all"},
	}
	for _, world := range []struct {
		n     int
		steps string
	}{{1, "50%, 100%"}, {10, "20%, 50%"}, {4, "0%/100%, 100%"}} {
		for _, action := range actions {
			for moment := 0; ; moment++ {
				s, over := newSimulation(t, world.n, "25%", 1, world.steps), false
				s.traffic = newSimTraffic()
				s.traffic.lag = moment % 3
				name := fmt.Sprintf("%s of %d, %v after step %d", world.steps, world.n, action, moment)
				if !t.Run(name, func(t *testing.T) { over = s.actAt(t, moment, action, false) }) || over {
					break
				}
			}
		}
	}
}
