package canary

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tells requires that what a workload at rest shows to machines is what its release is.
func tells(t require.TestingT, w *Workload, r *Release, conditions []Condition) {
	if r == nil {
		require.Empty(t, conditions)
		require.NotContains(t, []string{"Progressing", "Waiting", "Promoting", "Aborted", "Reverting"}, w.Metadata.Labels[PhaseLabel])
		return
	}
	require.Equal(t, string(r.Phase), w.Metadata.Labels[PhaseLabel])
	if want := r.condition(); want != nil {
		require.Equal(t, []Condition{*want}, conditions)
		return
	}
	require.Empty(t, conditions)
}

func TestTheConditionOfEachPhase(t *testing.T) {
	since := time.Unix(1000000, 0)
	for name, tc := range map[string]struct {
		release Release
		want    *Condition
	}{
		"pods of a step are awaited": {
			release: Release{Phase: Progressing, Step: 1},
			want:    &Condition{Type: "Reconciling", Status: "True", Reason: "Progressing", Message: "release 7, step 1 of 2: the canary's pods are awaited"},
		},
		"what ails them is told": {
			release: Release{Phase: Progressing, Step: 1, Reason: "pod web-1 has no node"},
			want:    &Condition{Type: "Reconciling", Status: "True", Reason: "Progressing", Message: "release 7, step 1 of 2: pod web-1 has no node"},
		},
		"the user's own pause": {release: Release{Phase: Progressing}},
		"a person is awaited":  {release: Release{Phase: Waiting, Step: 1}},
		"a duration is awaited": {
			release: Release{Phase: Waiting, Step: 2},
			want:    &Condition{Type: "Reconciling", Status: "True", Reason: "Waiting", Message: "release 7, step 2 of 2: goes on by itself after 10m0s"},
		},
		"promotion": {
			release: Release{Phase: Promoting, Step: 2, Stage: Finishing},
			want:    &Condition{Type: "Reconciling", Status: "True", Reason: "Promoting", Message: "release 7, step 2 of 2: the native rollout is awaited"},
		},
		"aborted": {
			release: Release{Phase: Aborted, Step: 1, Reason: "aborted by alice"},
			want:    &Condition{Type: "Stalled", Status: "True", Reason: "Aborted", Message: "release 7, step 1 of 2: aborted by alice"},
		},
		"the way back": {
			release: Release{Phase: Reverting, Step: 1, Reason: "the stable version was applied again"},
			want:    &Condition{Type: "Reconciling", Status: "True", Reason: "Reverting", Message: "release 7, step 1 of 2: the stable version was applied again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.release.ID, tc.release.Policy.Steps, tc.release.Since = 7, "20%, 50%:10m", &since
			require.Equal(t, tc.want, tc.release.condition())
		})
	}
}

// TestWhatMachinesReadThroughARelease follows label and conditions of a Deployment, one write at a time.
func TestWhatMachinesReadThroughARelease(t *testing.T) {
	for name, tc := range map[string]struct {
		actions []string
		want    []string
	}{
		"promoted": {
			actions: []string{"v2", "resume"},
			want:    []string{"", "Progressing", "Waiting", "Promoting", "Promoting Reconciling", "Promoting", "Promoted"},
		},
		"aborted, then tried again": {
			actions: []string{"v2", "abort", "retry"},
			want:    []string{"", "Progressing", "Waiting", "Aborted", "Aborted Stalled", "Progressing Stalled", "Progressing", "Waiting"},
		},
		"the old version": {
			actions: []string{"v2", "v1"},
			want:    []string{"", "Progressing", "Waiting", "Reverting", "Reverted"},
		},
		"the next version": {
			actions: []string{"v2", "resume", "v3"},
			want:    []string{"", "Progressing", "Waiting", "Promoting", "Promoting Reconciling", "Promoting", "Promoted", "Progressing", "Waiting"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimulation(t, 5, "25%", 1, "20%")
			seen := []string{""}
			s.wrote = func() {
				now := s.workload().Metadata.Labels[PhaseLabel]
				for _, condition := range s.conditions {
					now += " " + condition.Type
				}
				if now != seen[len(seen)-1] {
					seen = append(seen, now)
				}
			}
			for _, action := range tc.actions {
				s.user(action)
				s.settleDown()
				tells(t, s.workload(), s.release(), s.conditions)
			}
			require.Equal(t, tc.want, seen)
		})
	}
}

func TestThePhaseThatAReleaseEndedWith(t *testing.T) {
	over := web("v1").labelled(PhaseLabel, "Promoted")
	for name, tc := range map[string]struct {
		request request
		want    any
	}{
		"stays with the next write that changes no version": {request{stored: over, sent: over.with("spec.replicas", 7)}, "Promoted"},
		"stays where a file does not have it":               {request{stored: over, sent: web("v1").with("spec.strategy.type", "Recreate")}, "Promoted"},
		"cannot be forged where admission is asked":         {request{stored: over, sent: over.labelled(PhaseLabel, "Aborted")}, "Promoted"},
		"goes with a version that is not held":              {request{stored: over.with("spec.replicas", 0), sent: over.with("spec.replicas", 0).image("v2")}, nil},
		"goes when the workload opts out":                   {request{stored: over, sent: over.labelled(EnabledLabel, "false"), world: may(VerbBypass)}, nil},
		"gives way to the next release":                     {request{stored: over, sent: over.image("v2")}, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stored := tc.request.decide(t)
			got, ok := stored.workload(t).Metadata.Labels[PhaseLabel]
			if tc.want == nil {
				require.False(t, ok, got)
				return
			}
			require.Equal(t, tc.want, got)
		})
	}
}
