package canary

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// hashes are those of ControllerRevisions, which the native controller makes.
func (s *setSimulation) hashes(o Observed) (stable, canary string) {
	if s.revisions[o.Release.Canary.Hash] {
		canary = o.Release.Canary.Hash
	}
	return s.current.Hash, canary
}

func (s *setSimulation) endpoints(hash string) int32 {
	count := int32(0)
	for _, pod := range s.pods {
		if pod.template.Hash == hash && pod.ready && !pod.terminating {
			count++
		}
	}
	return count
}

func (s *setSimulation) only(hash string) bool {
	for _, pod := range s.pods {
		if pod.template.Hash != hash && pod.ready && !pod.terminating {
			return false
		}
	}
	return true
}

// checkTraffic: whatever is in force, somebody answers, and nobody who should get nothing.
func (s *setSimulation) checkTraffic() {
	for _, share := range s.traffic.inForce() {
		switch {
		case s.dip:
		case share == nil:
			s.checkUndivided()
		default:
			s.traffic.answered(s.t, s, share)
			s.checkAllServe()
		}
	}
}

// checkAllServe: while a divided release waits, no pod that is ready is without requests.
func (s *setSimulation) checkAllServe() {
	if r := s.release(); r == nil || r.Phase != Waiting {
		return
	}
	ready := int32(0)
	for _, pod := range s.pods {
		if pod.ready && !pod.terminating {
			ready++
		}
	}
	require.Equal(s.t, ready, s.endpoints(s.traffic.stable)+s.endpoints(s.traffic.canary), "ready pods that the two Services select")
}

// TestTheWayBackOfAStatefulSetThatForgotItsStableVersion: pods of the old version are made while those of the new one
// go, and whoever is there answers.
func TestTheWayBackOfAStatefulSetThatForgotItsStableVersion(t *testing.T) {
	s := newSetSimulation(t, 3, 0, false, "20%")
	defer s.failed(t)
	s.traffic = newSimTraffic()
	s.user("v2")
	s.until(Waiting)
	s.approved[s.template().Hash], s.dip = true, true // whatever happens now is not sluice's
	s.store(partitioned(s.d, 0))                      // past admission
	for range 20 {
		s.native()
		s.kubelet()
	}
	s.rounds(20, false)
	require.Equal(t, Aborted, s.release().Phase)
	require.Contains(t, s.release().Reason, "apply the old version again")
	s.dip = false
	s.user("v1")
	s.rounds(40, false)
	require.Nil(t, s.release())
	require.Equal(t, s.template(), s.current)
}

// checkUndivided: nobody approved what gets requests by the number of its pods.
func (s *setSimulation) checkUndivided() {
	r := s.release()
	if !r.Holds() || r.Former != nil {
		return
	}
	for index, pod := range s.pods {
		require.True(s.t, s.approved[pod.template.Hash] || !pod.ready || pod.terminating, "pod %d, which nobody approved, gets requests by its number", index)
	}
}

// TestEveryActionOnAStatefulSetAtEveryMomentOfDividedRequests is TestEveryActionOnAStatefulSetAtEveryMoment with
// routes.
func TestEveryActionOnAStatefulSetAtEveryMomentOfDividedRequests(t *testing.T) {
	t.Parallel()
	actions := [][]string{
		{}, {"abort"}, {"abort", "retry"}, {"v1"}, {"v1", "v2"}, {"v1", "v3"}, {"v3"}, {"v3", "v1"}, {"v3", "v2"}, {"broken"}, {"broken", "v1"},
		{"break"}, {"break", "v3"}, {"chart"}, {"abort", "v3"}, {"abort", "v1"}, {"approve full"}, {"evict"}, {"evict", "abort"}, {"n5", "abort"}, {"n2"},
	}
	for _, world := range []struct {
		n        int
		steps    string
		parallel bool
	}{{1, "20%", false}, {2, "50%, 100%", false}, {3, "20%, 50%", false}, {5, "20%, 60%, 100%", false}, {5, "0%/40%, 40%", true}} {
		for _, action := range actions {
			for moment, over := 0, false; !over; moment++ {
				name := fmt.Sprintf("%d pods, %s, parallel %t: %v after step %d", world.n, world.steps, world.parallel, action, moment)
				if !t.Run(name, func(t *testing.T) {
					s := newSetSimulation(t, world.n, 0, world.parallel, world.steps)
					s.traffic = newSimTraffic()
					s.traffic.lag = moment % 3
					over = s.actAt(t, moment, action)
				}) {
					break
				}
			}
		}
	}
}
