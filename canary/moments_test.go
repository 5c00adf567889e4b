package canary

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apiserver/pkg/storage"
)

func TestAResourceVersionIsANumberAsForTheAPIServer(t *testing.T) {
	v := storage.APIObjectVersioner{}
	a, b := &appsv1.Deployment{}, &appsv1.Deployment{}
	a.ResourceVersion, b.ResourceVersion = "10", "010"
	x, _ := v.ObjectResourceVersion(a)
	y, err := v.ObjectResourceVersion(b)
	require.NoError(t, err)
	require.Equal(t, x, y, "the API server takes them as equal")
	d, err := Decide(request{stored: web("v1"), sent: web("v1").image("v2").with("metadata.resourceVersion", "010")}.review(t), World{})
	require.NoError(t, err)
	require.Equal(t, Hold, d.Verdict)
}

func TestAHoldWhoseReasonAnotherWebhookUndidIsTakenBack(t *testing.T) {
	d, err := Decide(request{stored: web("v1"), sent: web("v1").image("v1-tag")}.review(t), World{})
	require.NoError(t, err)
	require.Equal(t, Hold, d.Verdict)
	after := web("v1").image("v1-tag").admitted(d).image("v1") // the other webhook resolves the tag
	d, err = Decide(request{stored: web("v1"), sent: after}.review(t), World{})
	require.NoError(t, err)
	final := after.admitted(d)
	require.False(t, final.workload(t).Spec.Paused, "paused for good, without a release")
}

func TestAHoldThatAnotherWebhookUndidLeavesARolloutGoing(t *testing.T) {
	old := finishingObject(t)
	d, err := Decide(request{stored: old, sent: old.image("v2-tag")}.review(t), World{})
	require.NoError(t, err)
	after := old.image("v2-tag").admitted(d).image("v2")
	d, err = Decide(request{stored: old, sent: after}.review(t), World{})
	require.NoError(t, err)
	require.False(t, after.admitted(d).workload(t).Spec.Paused, "paused in Finishing")
}

func statesPausedEntries(owns ...string) []any {
	var entries []any
	for _, m := range owns {
		entries = append(entries, object{"manager": m, "operation": "Apply", "fieldsV1": object{"f:spec": object{"f:paused": object{}}}})
	}
	return entries
}

func TestServerSideApplyMayStatePausedFalse(t *testing.T) {
	old := held(t)
	sent := old.with("spec.paused", false).with("metadata.managedFields", statesPausedEntries("helm"))
	d, err := Decide(request{stored: old, sent: sent}.review(t), World{})
	require.NoError(t, err)
	final := sent.admitted(d)
	d2, err := Decide(request{stored: old, sent: final}.review(t), World{})
	require.NoError(t, err)
	changes, _ := d2.Changes(final.workload(t))
	require.False(t, changes, "validate refuses the write")
}

func TestServerSideApplyMayRevertAndStatePausedFalse(t *testing.T) {
	old := held(t)
	sent := old.image("v1").with("spec.paused", false).with("metadata.managedFields", statesPausedEntries("helm"))
	d, err := Decide(request{stored: old, sent: sent}.review(t), World{})
	require.NoError(t, err)
	final := sent.admitted(d)
	d2, err := Decide(request{stored: old, sent: final}.review(t), World{})
	require.NoError(t, err)
	changes, _ := d2.Changes(final.workload(t))
	require.False(t, changes, "validate refuses the revert")
}

func TestAPlantedStateIsNotBelieved(t *testing.T) {
	v2, _ := HashTemplate(templateOf(t, web("v2")))
	v1, _ := HashTemplate(templateOf(t, web("v1")))
	planted := Release{ID: 3, Phase: Reverting, Stage: Finishing, Stable: Revision{Hash: v1}, Canary: Revision{Hash: v2}, Policy: Policy{Steps: "20%"}}
	old := web("v1").annotated(ReleaseAnnotation, planted.Encode()) // stored while the Namespace was not opted in
	d, err := Decide(request{stored: old, sent: old.image("v2")}.review(t), World{})
	require.NoError(t, err)
	require.NotNil(t, d.Want.Paused, "v2 rolls out natively")
}

func templateOf(t *testing.T, o object) json.RawMessage { return o.workload(t).Spec.Template }

// 5. helm rollback after a write that changed the strategy too
func TestZRevertWithStrategy(t *testing.T) {
	sent := web("v1").image("v2").with("spec.strategy", object{"type": "Recreate"})
	_, stored := request{stored: web("v1"), sent: sent}.decide(t)
	d, err := Decide(request{stored: stored, sent: web("v1").with("metadata.resourceVersion", nil)}.review(t), World{})
	require.NoError(t, err)
	t.Log(d.Message)
	require.Equal(t, Reverted, d.Verdict)
}

func TestTheOldFileRevertsTheStrategyToo(t *testing.T) {
	sent := web("v1").image("v2").with("spec.strategy", object{"type": "Recreate"})
	_, stored := request{stored: web("v1"), sent: sent}.decide(t)
	d, err := Decide(request{stored: stored, sent: web("v1").with("metadata.resourceVersion", nil)}.review(t), World{})
	require.NoError(t, err)
	t.Log(d.Message)
	require.Equal(t, Reverted, d.Verdict)
}

func TestIgnoredConfigIsIgnoredWhenItSettles(t *testing.T) {
	old := web("v1").annotated(ConfigAnnotation, configNo)
	_, stored := request{stored: old, sent: old.image("v2"), world: World{Digest: "v1:k:1"}}.decide(t)
	require.Empty(t, stored.release(t).Canary.Digest)
	d, err := Decide(request{stored: stored, sent: stored.changed(t, func(r *Release) { r.Settled = true }), sluice: true, world: World{Digest: "v1:k:1"}}.review(t), World{Digest: "v1:k:1"})
	require.NoError(t, err)
	if d.Want.Digest != nil {
		require.Empty(t, *d.Want.Digest, "a digest in the template although the policy says ignore")
	}
}

func TestAnExportOfAHeldWorkloadStatesNoPause(t *testing.T) {
	old := held(t)
	applied, _ := json.Marshal(object{"metadata": object{"annotations": object{ReleaseAnnotation: "..."}}, "spec": object{"paused": true}})
	sent := old.image("v3").annotated("kubectl.kubernetes.io/last-applied-configuration", string(applied))
	d, stored := request{stored: old, sent: sent}.decide(t)
	require.Equal(t, Superseded, d.Verdict)
	require.False(t, stored.release(t).Held.Paused, "paused for good after the promotion")
}

func TestDisablingCanariesLeavesTheUsersOwnPause(t *testing.T) {
	_, stored := request{stored: web("v1"), sent: web("v1").image("v2").with("spec.paused", true)}.decide(t)
	require.Zero(t, stored.release(t).Step)
	_, stored = request{stored: stored, sent: stored.image("v3"), world: World{OptedOut: true}}.decide(t)
	require.True(t, stored.workload(t).Spec.Paused, "the user's own pause is lifted")
}

func TestTheDeadlineWaitsForACanaryThatNobodyCouldCreate(t *testing.T) {
	s := newSimulation(t, 5, "25%", "25%", "20%")
	s.user("v2")
	s.sluice() // stamp
	s.sluice() // record; then sluice is away for an hour
	s.now = s.now.Add(time.Hour)
	for range 10 { // the controller looks again at once after each write
		s.sluice()
	}
	t.Log(s.release().Phase, s.release().Reason)
	require.NotEqual(t, Aborted, s.release().Phase)
}

func TestTheDeadlineWaitsForAStepThatNobodyCouldMake(t *testing.T) {
	s := newSimulation(t, 10, "25%", "25%", "20%,50%")
	s.user("v2")
	s.settleDown()
	s.user("resume")
	for s.release().Step == 1 {
		s.sluice()
	}
	s.now = s.now.Add(time.Hour)
	for range 10 {
		s.sluice()
	}
	t.Log(s.release().Phase, s.release().Reason)
	require.NotEqual(t, Aborted, s.release().Phase)
}

func TestAnAdoptionThatStartsLateHasItsTimeWhole(t *testing.T) {
	s := newSimulation(t, 10, "25%", "25%", "20%")
	s.user("v2")
	s.settleDown()
	s.user("resume")
	for s.release().Phase != Promoting {
		s.sluice()
	}
	s.native()
	s.now = s.now.Add(90 * time.Second) // sluice was away for 90 s
	for range 6 {
		s.sluice() // at once after each write
	}
	t.Log(s.release().Phase, s.release().Stage, s.release().Sequence)
	require.Equal(t, SequenceM, s.release().Sequence)
}

func (s *simulation) promoteFully(image string) {
	s.user(image)
	s.user("approve all")
	s.settleDown()
	require.Nil(s.t, s.release())
}

// TestEveryActionWhileStablePodsAreSlow is TestEveryActionAtEveryMoment with pods that become available
// one by one, and only when everybody else is at rest, as new pods of a loaded cluster do.
func TestEveryActionWhileStablePodsAreSlow(t *testing.T) {
	actions := [][]string{
		{"abort"}, {"v1"}, {"v3"}, {"v1", "v2"}, {"break", "v3"}, {"v1", "v3"}, {"v3", "v2"}, {"v3", "v2", "v3"}, {"v1", "broken"},
		{"n15"}, {"n3", "abort"}, {"n3", "approve all"}, {"n15", "native", "n3"},
	}
	for _, world := range []struct {
		n     int
		surge any
		steps string
	}{{3, 0, "50%, 100%"}, {10, 1, "100%/100%"}} {
		for _, action := range actions {
			for moment := 0; ; moment++ {
				s, over := newSimulation(t, world.n, world.surge, 1, world.steps), false
				name := fmt.Sprintf("%s of %d, %v after step %d", world.steps, world.n, action, moment)
				if !t.Run(name, func(t *testing.T) { over = s.actAt(t, moment, action, true) }) || over {
					break
				}
			}
		}
	}
}

// TestAFullCanaryServesUntilTheStableVersionIsBack: after a rollback the newest ReplicaSet is not the
// stable one, and the deployment controller wakes the newest when an adopted canary is taken back.
func TestAFullCanaryServesUntilTheStableVersionIsBack(t *testing.T) {
	s := newSimulation(t, 10, "25%", "25%", "100%/100%")
	s.promoteFully("v2")
	s.promoteFully("v1")
	stable := s.templateHash()
	s.user("v3")
	s.settleDown()
	s.user("resume")
	for s.release().Phase != Promoting {
		s.sluice()
	}
	for s.stableReplicas(stable) > 0 { // until it is adopted and saturated
		s.sluice()
		s.native()
	}
	s.slow = true
	s.user("abort")
	s.rest()
	require.EqualValues(t, 10, s.stableReplicas(stable))
	require.Equal(t, Aborted, s.release().Phase)
}

func (s *simulation) stableReplicas(hash string) int32 {
	var replicas int32
	for _, set := range s.sets {
		if set.TemplateHash == hash && set.Owned {
			replicas += set.Replicas
		}
	}
	return replicas
}

// degrade lets k of the stable pods never become available again.
func (s *simulation) degrade(k int32) {
	for _, set := range s.sets {
		if set.Owned && set.Replicas == 10 {
			set.AvailableReplicas = 10 - k
		}
	}
	s.native()
}

func TestAnUnreadyStablePodKeepsNoCanaryFromGoing(t *testing.T) {
	for _, how := range []string{"abort", "v3", "v1"} {
		t.Run(how, func(t *testing.T) {
			s := newSimulation(t, 10, "25%", 0, "20%")
			s.user("v2")
			s.settleDown()
			require.Equal(t, Waiting, s.release().Phase)
			s.nocheck = true
			s.degrade(1) // one stable pod is not ready any more, as on any day
			s.user(how)
			for range 50 {
				s.native()
				for _, set := range s.sets { // all but the degraded one
					if !set.Owned {
						s.pods(set)
					} else {
						set.ObservedGeneration, set.StatusReplicas = set.Generation, set.Replicas
					}
				}
				s.now = s.now.Add(time.Minute)
				s.sluice()
			}
			for _, set := range s.sets {
				if s.release() != nil && set.ReleaseID != 0 && set.ReleaseID == 5 {
					require.Zero(t, set.Replicas, "the canary's pods stay")
				}
			}
		})
	}
}

func TestDisablingCanariesWhileARolloutIsPaused(t *testing.T) {
	old := finishingObject(t).changed(t, func(r *Release) { r.Held.Paused = true }).with("spec.paused", true)
	q := request{stored: old, sent: old.image("v3"), world: World{OptedOut: true}}
	q.decide(t)
}

func TestMaxSurgeIsPinnedForAsLongAsItKeepsWhatServes(t *testing.T) {
	tests := map[string]struct {
		old, stable int32 // available of two pods each
		pinned      bool
	}{
		"the stable version's pods do not become available": {old: 2, stable: 0, pinned: true},
		"one of them does, as the strategy allows":          {old: 2, stable: 1},
		"they are": {old: 2, stable: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Observed{
				Kind: Deployment, Workload: WorkloadState{Replicas: 2, MaxUnavailable: 1, MaxSurge: 2}, Release: &Release{Phase: Progressing, Surge: 2},
				ReplicaSets: []ReplicaSet{
					{UID: "1", Owned: true, Replicas: 2, AvailableReplicas: tt.old}, {UID: "2", Owned: true, Replicas: 2, AvailableReplicas: tt.stable},
				},
			}
			require.Equal(t, tt.pinned, unpin(o) == nil)
			o.ReplicaSets = o.ReplicaSets[1:]
			require.NotNil(t, unpin(o), "there are no pods too many")
		})
	}
}

func TestAStableVersionThatIsBroughtBackIsSoThoughAnotherOneSupersedes(t *testing.T) {
	old := held(t).changed(t, func(r *Release) { r.Restoring = true })
	_, next := request{stored: old, sent: old.image("v3")}.decide(t)
	require.True(t, next.release(t).Restoring)

	promoted := finishingObject(t).changed(t, func(r *Release) { r.Restoring = true })
	_, next = request{stored: promoted, sent: promoted.image("v3")}.decide(t)
	require.False(t, next.release(t).Restoring, "another one is stable now")
}
