package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rounds lets everybody but the user work.
func (s *setSimulation) rounds(n int, approve bool) {
	for range n {
		s.native()
		s.kubelet()
		s.sluice()
		s.check()
		if r := s.release(); approve && r != nil && r.Phase == Waiting && r.ApprovedBy(r.Step) == "" {
			s.user("approve")
		}
	}
}

func (s *setSimulation) until(phase Phase) {
	for range 60 {
		if s.release().Phase == phase {
			return
		}
		s.rounds(1, phase == Promoting)
	}
	s.t.Fatalf("it is %s", s.release().Phase)
}

// TestMomentsOfAStatefulSet are sequences that once went wrong.
func TestMomentsOfAStatefulSet(t *testing.T) {
	t.Parallel()
	requireAll := func(t *testing.T, s *setSimulation) {
		t.Helper()
		require.Nil(t, s.release())
		for index, pod := range s.pods {
			if index >= s.partition() {
				require.Equal(t, s.template(), pod.template, "pod %d", index)
			}
		}
	}
	none := func(t *testing.T, s *setSimulation, version Revision) {
		t.Helper()
		for index, pod := range s.pods {
			require.NotEqual(t, version, pod.template, "pod %d", index)
		}
	}
	for name, test := range map[string]struct {
		n, partition int
		parallel     bool
		steps        string
		play         func(*testing.T, *setSimulation)
	}{
		"with an own partition, back to the version below it": {n: 5, partition: 3, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.rounds(40, true)
			require.Nil(t, s.release())
			s.user("v1")
			s.rounds(40, true)
			requireAll(t, s)
		}},
		"back from a native rollout that is stuck": {n: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.store(s.d.image("broken")) // before it opted in
			for range 6 {
				s.native()
				s.kubelet()
			}
			s.dip = true
			s.user("v1")
			s.rounds(60, false)
			requireAll(t, s)
		}},
		"reverted together with a raised partition": {n: 5, steps: "40%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Waiting)
			canary := s.release().Canary
			s.write(partitioned(s.d.image("v1"), 5), "alice", false)
			s.rounds(40, false)
			require.Nil(t, s.release())
			none(t, s, canary)
		}},
		"reverted after the partition was raised": {n: 5, steps: "40%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Waiting)
			canary := s.release().Canary
			s.write(partitioned(s.d, 5), "alice", false)
			s.user("v1")
			s.rounds(40, false)
			require.Nil(t, s.release())
			none(t, s, canary)
		}},
		"paused by the partition while it waits: nothing is approved or promoted, and lowering it begins anew": {n: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Waiting)
			s.write(partitioned(s.d, 9), "alice", false)
			s.rounds(20, true)
			require.Zero(t, s.release().Step)
			none(t, s, s.release().Canary)
			s.write(partitioned(s.d, 0), "alice", false)
			s.rounds(60, true)
			requireAll(t, s)
		}},
		"paused by the partition while it is promoted": {n: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Promoting)
			s.write(partitioned(s.d, 5), "alice", false)
			s.rounds(20, false)
			require.Equal(t, Promoting, s.release().Phase)
			s.write(partitioned(s.d, 0), "alice", false)
			s.rounds(40, false)
			requireAll(t, s)
		}},
		"paused by a partition that a scale-up passes": {n: 5, partition: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.rounds(5, false)
			require.Zero(t, s.release().Step)
			s.user("n8")
			s.rounds(30, false)
			require.Equal(t, Waiting, s.release().Phase)
			require.Equal(t, 1, s.release().Step)
		}},
		"a retried version and the next one are different releases": {n: 1, steps: "50%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.user("abort")
			s.user("retry")
			s.rounds(5, false)
			value := s.release().ApproveValue()
			s.user("v3")
			s.rounds(5, false)
			require.Equal(t, Waiting, s.release().Phase)
			s.write(s.d.annotated(ApproveAnnotation, value), "alice", false)
			require.Empty(t, s.release().ApprovedBy(1), "the approval of v2 counts for v3")
		}},
		"an abort after its deadline misses one pod at a time": {n: 5, parallel: true, steps: "60%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Waiting)
			s.pods[0].broken, s.pods[0].ready, s.dip = true, false, true
			s.user("abort")
			s.sluice()
			s.now = s.now.Add(3 * time.Minute)
			for range 10 {
				s.sluice()
			}
			down := 0
			for _, pod := range s.pods {
				if pod.terminating || !pod.ready {
					down++
				}
			}
			require.LessOrEqual(t, down, 2)
		}},
		"the version before a promotion that was superseded, applied past admission": {n: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Promoting)
			s.user("v3")
			s.rounds(1, false)
			require.NotNil(t, s.release().Former)
			s.store(s.d.image("v1"))
			s.rounds(40, false)
			requireAll(t, s)
		}},
		"no pods for a while past admission: aborted, and said once": {n: 5, steps: "20%", play: func(t *testing.T, s *setSimulation) {
			t.Helper()
			s.user("v2")
			s.until(Waiting)
			s.user("abort")
			s.rounds(20, false)
			s.approved[s.template().Hash] = true // whatever happens now is not sluice's
			s.store(s.d.with("spec.replicas", 0))
			s.rounds(20, false)
			s.store(s.d.with("spec.replicas", 5))
			s.dip = true
			s.rounds(20, false)
			require.Equal(t, Aborted, s.release().Phase)
			require.Contains(t, s.release().Reason, "apply the old version again")
			writes := s.writes
			s.rounds(5, false)
			require.Equal(t, writes, s.writes)
			s.user("v1")
			s.rounds(40, false)
			requireAll(t, s)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetSimulation(t, test.n, test.partition, test.parallel, test.steps)
			defer s.failed(t)
			test.play(t, s)
		})
	}
}

func TestWhatAilsPodsIsToldOnceAMinute(t *testing.T) {
	s := newSetSimulation(t, 5, 0, false, "40%")
	s.user("broken")
	s.rounds(10, false)
	o, now, told := s.observed(), s.now, 0
	for o.PodsFail = true; ; now = now.Add(5 * time.Second) {
		o.PodTrouble = []string{"pod web-4 crashes", "pod web-4 ended"}[now.Unix()/5%2]
		next := Next(o, now).Write
		if next == nil {
			continue
		}
		if next.SetCondition != nil {
			o.Workload.Conditions = []Condition{*next.SetCondition}
			continue
		}
		require.NotNil(t, next.SetRelease)
		if next.SetRelease.Phase == Aborted {
			break
		}
		o.Release = next.SetRelease
		told++
	}
	require.Equal(t, 2, told, "in a deadline of two minutes")
}

// TestAStatusThatDoesNotComeEndsWithTheDeadline: the controller-manager may be away for long.
func TestAStatusThatDoesNotComeEndsWithTheDeadline(t *testing.T) {
	s := newSetSimulation(t, 5, 0, false, "20%")
	s.user("v2")
	s.sluice()
	s.native()
	o := s.observed()
	o.Workload.Current = Revision{}
	o.Release.Late = true
	move := Next(o, s.now.Add(time.Hour))
	require.NotNil(t, move.Write)
	require.Equal(t, Aborted, move.Write.SetRelease.Phase)
}
