package report

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

func TestWhatRoutesGiveTheCanary(t *testing.T) {
	const all = 3 // the step with 100 %
	tests := map[string]struct {
		release    canary.Release
		wanted     int32 // pods of the canary, of 5; all are available
		want       any   // nil: the Service itself decides
		wantComing bool
	}{
		"a step under way":                           {canary.Release{Phase: canary.Progressing, Step: 2}, 1, int32(20), true},
		"a step without requests under way":          {canary.Release{Phase: canary.Progressing, Step: 1}, 1, int32(0), false},
		"before the first step":                      {canary.Release{Phase: canary.Progressing}, 0, int32(0), false},
		"a step":                                     {canary.Release{Phase: canary.Waiting, Step: 2}, 1, int32(20), false},
		"a canary of full size is adopted":           {canary.Release{Phase: canary.Promoting, Step: all, Stage: canary.Adopting, Sequence: canary.SequenceM}, 5, int32(100), false},
		"it is to stand beside the new pods":         {canary.Release{Phase: canary.Promoting, Step: all, Stage: canary.Adopting, Sequence: canary.SequenceC}, 5, int32(100), false},
		"one with a share":                           {canary.Release{Phase: canary.Promoting, Step: 2, Stage: canary.Adopting, Sequence: canary.SequenceM}, 5, nil, false},
		"a smaller one":                              {canary.Release{Phase: canary.Promoting, Step: all, Stage: canary.Adopting, Sequence: canary.SequenceM}, 4, nil, false},
		"Kubernetes promotes it":                     {canary.Release{Phase: canary.Promoting, Step: all, Stage: canary.Finishing, Sequence: canary.SequenceM}, 5, nil, false},
		"aborted":                                    {canary.Release{Phase: canary.Aborted, Step: 2}, 0, int32(0), false},
		"aborted, and a gateway has not accepted":    {canary.Release{Phase: canary.Aborted, Step: 2}, 1, int32(0), true},
		"reverted":                                   {canary.Release{Phase: canary.Reverting, Step: 2}, 0, int32(0), false},
		"reverted, and a gateway has not accepted":   {canary.Release{Phase: canary.Reverting, Step: 2}, 1, int32(0), true},
		"reverted, and its pods are replaced":        {canary.Release{Phase: canary.Reverting, Step: 2, Stage: canary.Finishing}, 0, int32(0), false},
		"reverted while Kubernetes promoted it":      {canary.Release{Phase: canary.Reverting, Step: all, Stage: canary.Finishing, Sequence: canary.SequenceP}, 2, nil, false},
		"of a newer sluice":                          {canary.Release{Phase: "Draining", Step: 2}, 1, nil, false},
		"a route that has it, and cannot be divided": {canary.Release{Phase: canary.Waiting, Step: 2, Reason: "requests are not divided: httproute/web is gone"}, 1, int32(20), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.release.Policy.Steps = "0%/1, 20%, 100%"
			test.release.Traffic = &canary.Found{Services: []string{"web"}, Routes: []string{"httproute/web"}}
			s := &ReleaseStatus{Workload: Workload{Replicas: 5}, Revisions: []Revision{{Role: RoleStable, Wanted: 5, Available: 5}, {Role: RoleCanary, Wanted: test.wanted, Available: test.wanted}}}
			got := s.traffic(&test.release)
			require.NotNil(t, got)
			if test.want == nil {
				require.Nil(t, got.Weight)
			} else {
				require.NotNil(t, got.Weight)
				require.Equal(t, test.want, *got.Weight)
			}
			require.Equal(t, test.wantComing, got.Coming)
		})
	}
}
