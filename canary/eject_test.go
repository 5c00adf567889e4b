package canary

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWasDecidedAboutTheEndOfARelease(t *testing.T) {
	former := Revision{Hash: "former"}
	tests := map[string]struct {
		phase Phase
		hash  string // of the template in the spec
		want  Ending
	}{
		"nothing while it progresses":                  {Progressing, "new", ""},
		"nothing while it waits":                       {Waiting, "new", ""},
		"nothing when it is aborted":                   {Aborted, "new", ""},
		"it was approved":                              {Promoting, "new", EndPromoted},
		"the stable version was applied":               {Reverting, "old", EndReverted},
		"the version that it came from was applied":    {Reverting, "former", EndReverted},
		"another version came by, instead of approved": {Promoting, "third", ""},
		"another version came by, instead of stable":   {Reverting, "third", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Release{ID: 5, Phase: test.phase, Stable: Revision{Hash: "old"}, Canary: Revision{Hash: "new"}, Former: &former}
			require.Equal(t, test.want, r.Ending(test.hash))
		})
	}
}

func TestAWorkloadWithoutItsReleaseHasTheUsersOwnFields(t *testing.T) {
	decode := func(text string) *Workload {
		w, err := DecodeWorkload([]byte(text))
		require.NoError(t, err)
		return w
	}
	deployment := decode(`{"spec":{"paused":true,"template":{},"strategy":{"rollingUpdate":{"maxSurge":3}}}}`)
	resumed := decode(`{"spec":{"template":{},"strategy":{"rollingUpdate":{"maxSurge":1}}}}`)
	set := decode(`{"spec":{"template":{},"updateStrategy":{"rollingUpdate":{"partition":2147483647}}}}`)
	lowered := decode(`{"spec":{"template":{},"updateStrategy":{"rollingUpdate":{"partition":1}}}}`)
	surge := json.RawMessage(`"25%"`)
	yes, no, two, closed := true, false, int32(2), ClosedPartition
	tests := map[string]struct {
		workload *Workload
		release  Release
		ending   Ending
		want     Want // of the spec
	}{
		"held":                         {deployment, Release{Phase: Waiting}, EndPromoted, Want{Paused: &no}},
		"held, and paused before":      {deployment, Release{Phase: Waiting, Held: Held{Paused: true}}, EndPromoted, Want{Paused: &yes}},
		"its maxSurge pinned":          {deployment, Release{Phase: Promoting, Surge: 3, Held: Held{MaxSurge: surge}}, EndPromoted, Want{Paused: &no, MaxSurge: surge}},
		"reverted":                     {deployment, Release{Phase: Waiting}, EndReverted, Want{Paused: &no}},
		"left paused":                  {deployment, Release{Phase: Aborted}, EndPaused, Want{Paused: &yes, Partition: &closed}},
		"not held any more":            {resumed, Release{Phase: Promoting, Stage: Finishing}, EndPromoted, Want{}},
		"resumed past admission":       {resumed, Release{Phase: Waiting}, EndPromoted, Want{}},
		"a set":                        {set, Release{Phase: Waiting}, EndPromoted, Want{Partition: new(int32)}},
		"a set with a partition":       {set, Release{Phase: Waiting, Held: Held{Partition: 2}}, EndReverted, Want{Partition: &two}},
		"a set while its gate is open": {lowered, Release{Phase: Progressing, Gate: lowered.Spec.UpdateStrategy.RollingUpdate.Partition}, EndPromoted, Want{Partition: new(int32)}},
		"a set that is left paused while its gate is open": {
			lowered, Release{Phase: Progressing, Gate: lowered.Spec.UpdateStrategy.RollingUpdate.Partition}, EndPaused, Want{Paused: &yes, Partition: &closed}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.release.Without(test.workload, test.ending)
			for _, key := range []string{ReleaseAnnotation, ApproveAnnotation, AbortAnnotation, RetryAnnotation} {
				require.Contains(t, got.Annotations, key)
				require.Nil(t, got.Annotations[key])
			}
			for _, key := range []string{ActiveLabel, PhaseLabel} {
				require.Contains(t, got.Labels, key)
				require.Nil(t, got.Labels[key])
			}
			require.Nil(t, got.Digest)
			require.Equal(t, test.want, Want{Paused: got.Paused, MaxSurge: got.MaxSurge, Partition: got.Partition})
		})
	}
}
