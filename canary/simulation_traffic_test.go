package canary

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// simTraffic is two routes in front of the simulated Deployment, whose gateway takes its time to accept what they say.
type simTraffic struct {
	routes []*simRoute
	// stable and canary are what sluice's Services select by, empty where they do not exist.
	stable, canary string
}

type simRoute struct {
	share    *Share // by its spec
	accepted *Share // by its gateway
	pending  bool   // accepted may be in force still
}

func newSimTraffic() *simTraffic { return &simTraffic{routes: []*simRoute{{}, {}}} }

func (t *simTraffic) observed(s *simulation, o Observed) Traffic {
	if t == nil {
		return Traffic{}
	}
	seen := Traffic{
		Found:           &Found{Services: []string{"web"}, Routes: []string{"httproute/0", "httproute/1"}},
		Missing:         t.stable == "" || t.canary == "" || (s.stableHash(o) != "" && t.stable != s.stableHash(o)),
		Astray:          t.canary != "" && t.canary != CanaryHash(o.Release),
		StableEndpoints: s.endpoints(t.stable), CanaryEndpoints: s.endpoints(t.canary),
		OnlyStable: s.only(t.stable), OnlyCanary: s.only(t.canary),
	}
	for i, route := range t.routes {
		r := Route{Name: fmt.Sprintf("httproute/%d", i), Share: route.share, Changed: s.now}
		if route.pending {
			r.Waiting = "the gateway has not accepted it"
		}
		seen.Routes = append(seen.Routes, r)
	}
	return seen
}

// stableHash is the pod-template-hash of the stable version, empty where its ReplicaSet is gone.
func (s *simulation) stableHash(o Observed) string {
	if stable := o.stable(); stable != nil {
		return s.find(stable.UID).podHash
	}
	return ""
}

func (s *simulation) endpoints(podHash string) int32 {
	for _, set := range s.sets {
		if set.podHash == podHash {
			return min(set.AvailableReplicas, set.StatusReplicas)
		}
	}
	return 0
}

// only tells whether the Service itself has no endpoints but those of one version.
func (s *simulation) only(podHash string) bool {
	for _, set := range s.sets {
		if set.podHash != podHash && min(set.AvailableReplicas, set.StatusReplicas) > 0 {
			return false
		}
	}
	return true
}

func (t *simTraffic) selectPods(s *simulation) {
	hash := s.stableHash(s.observed())
	switch {
	case t.stable == "" || (hash != "" && t.stable != hash):
		require.NotEmpty(s.t, hash, "no Service can select a version that is gone")
		t.stable = hash
	default:
		t.canary = CanaryHash(s.release())
	}
}

func (t *simTraffic) steer(to *Share) {
	for _, route := range t.routes {
		if !SameShare(route.share, to) {
			route.share, route.pending = to, true
			return
		}
	}
	panic("this is a bug: every route is there")
}

func (t *simTraffic) accept(s *simulation) {
	if t == nil {
		return
	}
	for i, route := range t.routes {
		if route.pending {
			route.accepted, route.pending = route.share, false
			s.notef("the gateway accepts route %d: %v", i, route.share)
		}
	}
}

// check: whatever is in force, or may be, somebody answers, and nobody who should get nothing.
func (t *simTraffic) check(s *simulation) {
	if t == nil || s.nocheck || s.state().Replicas == 0 {
		return
	}
	for _, route := range t.routes {
		for _, share := range []*Share{route.share, route.accepted} {
			t.checkShare(s, share)
		}
	}
}

func (t *simTraffic) checkShare(s *simulation, share *Share) {
	r := s.release()
	if share == nil {
		if r != nil && r.Holds() && !r.Restoring && !s.observed().mixed() {
			for _, set := range s.sets {
				free := s.approved[set.version()] || set.ReleaseID == 0
				require.True(s.t, free || set.AvailableReplicas == 0, "pods of %s, which nobody approved, get requests by their number", set.Name)
			}
		}
		return
	}
	for _, set := range s.sets {
		if set.broken {
			return
		}
	}
	for _, set := range s.sets {
		if set.podHash == t.canary && set.Labelled && r != nil && r.Phase == Reverting {
			return // what was handed over already goes at once when the old version comes back; its pods serve while they end
		}
	}
	if share.Weight > 0 {
		require.NotZero(s.t, s.endpoints(t.canary), "%d %% of the requests go to a canary without pods", share.Weight)
	}
	if share.Weight < 100 {
		require.NotZero(s.t, s.endpoints(t.stable), "%d %% of the requests go to a stable version without pods", 100-share.Weight)
	}
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
				name := fmt.Sprintf("%s of %d, %v after step %d", world.steps, world.n, action, moment)
				if !t.Run(name, func(t *testing.T) { over = s.actAt(t, moment, action, false) }) || over {
					break
				}
			}
		}
	}
}
