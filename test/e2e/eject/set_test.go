package eject

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// setPhase is a point in the life of a release of a StatefulSet of three pods, with a canary of one, at
// which sluice dies.
type setPhase struct {
	image   string
	reach   func(t *testing.T, s harness.Set)
	endings []canary.Ending
	decided canary.Ending
	// partition is its owner's own.
	partition int32
}

func setWaits(s harness.Set, image string) {
	s.SetImage(image)
	s.WaitPhase(canary.Waiting, 1)
	s.WaitImages(v1, v1, image)
}

// closes matches the write that follows the one that opens the partition.
func closes() func(harness.Write) bool {
	opened := false
	return func(w harness.Write) bool {
		opens := writes("statefulsets", `\"gate\":`)(w)
		opened = opened || opens
		return opened && !opens && w.Resource == "statefulsets" && strings.Contains(w.Body, `\"phase\":`)
	}
}

func setPhases() map[string]setPhase {
	return map[string]setPhase{
		"Progressing, before the partition opens": {image: v2, endings: anyEnding[:1], reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			stopAt(t, s.Namespace, writes("statefulsets", `\"gate\":`), func() { s.SetImage(v2) })
		}},
		"Progressing, with the partition open": {image: v2, endings: anyEnding, reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			stopAt(t, s.Namespace, closes(), func() { s.SetImage(v2) })
		}},
		"Progressing, with a pod that is not ready": {image: unready, endings: anyEnding, reach: func(_ *testing.T, s harness.Set) {
			s.SetImage(unready)
			s.WaitImages(v1, v1)
			s.Wait("the partition is closed behind the pod", func(set *appsv1.StatefulSet) bool {
				return set.Status.UpdatedReplicas == 1 && *set.Spec.UpdateStrategy.RollingUpdate.Partition == harness.Closed
			})
		}},
		"Waiting": {image: v2, endings: anyEnding, reach: func(_ *testing.T, s harness.Set) {
			setWaits(s, v2)
		}},
		"Waiting, and its owner takes all pods off the new version": {image: v2, endings: anyEnding[1:2], partition: 3, reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			setWaits(s, v2)
			s.Mark("db", watch.ApprovedFull) // the test keeps its pod there, which is no fault of sluice's
			stopAt(t, s.Namespace, func(w harness.Write) bool { return w.Resource == "pods" && w.Method == http.MethodDelete },
				func() { s.StatePartition(3) })
			s.WaitImages(v1, v1, v2)
		}},
		"approved": {image: v2, endings: anyEnding[2:], reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			setWaits(s, v2)
			stopAt(t, s.Namespace, writes("statefulsets", "Promoting"), func() { s.Approve() })
		}},
		"Promoting": {image: late, decided: canary.EndPromoted, endings: noneOrBack, reach: func(_ *testing.T, s harness.Set) {
			setWaits(s, late)
			env.Proxy.Interfere(s.Name, func(w harness.Write) harness.Fault {
				if writes("statefulsets", `"sluice.dev/release":null`)(w) {
					return harness.Internal
				}
				return harness.Pass
			})
			s.Approve()
			s.Wait("the native rollout goes on", func(set *appsv1.StatefulSet) bool {
				r, err := canary.DecodeRelease(set.Annotations)
				return err == nil && r != nil && r.Stage == canary.Finishing
			})
		}},
		"Aborted, before the canary goes": {image: v2, endings: anyEnding[1:], reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			setWaits(s, v2)
			stopAt(t, s.Namespace, func(w harness.Write) bool { return w.Resource == "pods" && w.Method == http.MethodDelete },
				func() { s.Abort() })
		}},
		"Aborted": {image: v2, endings: anyEnding[:1], reach: func(_ *testing.T, s harness.Set) {
			setWaits(s, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1)
		}},
		"Reverting": {image: v2, decided: canary.EndReverted, endings: []canary.Ending{""}, reach: func(t *testing.T, s harness.Set) {
			t.Helper()
			setWaits(s, v2)
			stopAt(t, s.Namespace, writes("statefulsets", "Reverting"), func() { s.SetImage(v1) })
		}},
	}
}

func TestAStatefulSetInEveryPhaseIsEjectedWithSluiceDead(t *testing.T) {
	var scenarios []scenario
	for name, p := range setPhases() {
		for _, ending := range p.endings {
			scenarios = append(scenarios, scenario{strings.TrimSpace(name + " " + string(ending)), func(t *testing.T) func() {
				t.Helper()
				n := env.Namespace(t)
				n.Unjudged()
				s := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
				before := s.Pods()
				p.reach(t, s)
				return func() {
					way := p.eject(t, s, ending)
					for _, name := range []string{"db-0", "db-1"} {
						if way != canary.EndPromoted && p.decided != canary.EndPromoted {
							require.Equal(t, before[name].UID, s.Pods()[name].UID, "%s was not touched", name)
						}
					}
					if way == canary.EndPaused {
						p.goOn(s)
					}
					judge(t, n)
				}
			}})
		}
	}
	whileDead(t, scenarios)
}

func (p setPhase) eject(t *testing.T, s harness.Set, ending canary.Ending) (way canary.Ending) {
	t.Helper()
	if way = ending; way == "" {
		way = p.decided
	}
	partition := p.partition
	switch way {
	case canary.EndPromoted:
		s.Mark("db", watch.ApprovedFull)
	case canary.EndPaused:
		partition = harness.Closed
		s.Mark("db", watch.ApprovedFull) // its pods go one by one: the judge would take none for the limit
	case canary.EndReverted:
		if p.decided == canary.EndPromoted {
			s.Mark("db", watch.Native) // the old version may be a new one by now
		}
	}
	t.Log(ejected(t, s.Namespace, append([]string{"sts/db"}, flags(ending)...)...))
	requireNothingMarked(t, s.Namespace)
	requirePlain(t, s.Get(), true)
	require.Equal(t, partition, s.Partition())
	if way == canary.EndPromoted {
		p.rollsOut(s)
		return way
	}
	s.WaitImages(v1, v1, v1)
	return way
}

// rollsOut requires that the native controller rolls the new version out, as far as it goes.
func (p setPhase) rollsOut(s harness.Set) {
	if p.image == unready {
		s.WaitImages(v1, v1)
		return
	}
	s.WaitImages(slices.Repeat([]string{p.image}, 3)...)
	s.WaitComplete()
}

// goOn rolls out what was left paused.
func (p setPhase) goOn(s harness.Set) {
	s.StatePartition(0)
	p.rollsOut(s)
}
