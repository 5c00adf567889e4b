package await

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

var (
	stable = canary.Revision{Hash: "old", Digest: "1"}
	next   = canary.Revision{Hash: "new", Digest: "1"}
)

// at returns a Deployment of three pods in a phase of release 5.
func at(phase canary.Phase, stage canary.Stage) *workload.Workload {
	w := without(next, 0)
	w.Release = &canary.Release{ID: 5, Phase: phase, Stage: stage, Step: 1, Stable: stable, Canary: next, Reason: "why"}
	return w
}

// superseded returns the Deployment with a release of another id.
func superseded(id int64) *workload.Workload {
	w := at(canary.Waiting, "")
	w.Release.ID = id
	return w
}

// without returns the Deployment without a release, with this template.
func without(template canary.Revision, updated int32) *workload.Workload {
	return &workload.Workload{
		Ref:      workload.Ref{Kind: workload.Deployment, Namespace: "shop", Name: "web"},
		Replicas: 3, TemplateHash: template.Hash, Digest: template.Digest,
		Status: workload.Status{Replicas: 3, UpdatedReplicas: updated, AvailableReplicas: 3},
	}
}

// configChange returns the Deployment in a release that changes config alone.
func configChange() *workload.Workload {
	w := at(canary.Promoting, canary.Finishing)
	w.Release.Canary = canary.Revision{Hash: stable.Hash, Digest: "2"}
	return w
}

// TestJudge repeats the table of the package, row for row: what each goal says to the last version.
func TestJudge(t *testing.T) {
	const wait, reached, missed, unknown = Undecided, Reached, Missed, Unknown
	tests := map[string]struct {
		versions                []*workload.Workload
		held, promoted, aborted Outcome
	}{
		"Progressing":                  {[]*workload.Workload{at(canary.Progressing, "")}, wait, wait, wait},
		"Waiting":                      {[]*workload.Workload{at(canary.Waiting, "")}, reached, wait, wait},
		"Promoting, still held":        {[]*workload.Workload{at(canary.Promoting, canary.Adopting)}, missed, wait, wait},
		"Promoting, rolling out":       {[]*workload.Workload{at(canary.Promoting, canary.Finishing)}, missed, wait, missed},
		"Aborted":                      {[]*workload.Workload{at(canary.Aborted, "")}, missed, missed, reached},
		"Reverting":                    {[]*workload.Workload{at(canary.Reverting, "")}, missed, missed, missed},
		"a greater id":                 {[]*workload.Workload{at(canary.Progressing, ""), superseded(6)}, missed, missed, missed},
		"over, the canary's template":  {[]*workload.Workload{at(canary.Progressing, ""), without(next, 3)}, missed, reached, missed},
		"over, the stable template":    {[]*workload.Workload{at(canary.Progressing, ""), without(stable, 3)}, missed, missed, missed},
		"over, another template":       {[]*workload.Workload{at(canary.Progressing, ""), without(canary.Revision{Hash: "x"}, 3)}, missed, missed, missed},
		"over, and not all pods yet":   {[]*workload.Workload{at(canary.Progressing, ""), without(next, 2)}, wait, wait, wait},
		"over, its config is there":    {[]*workload.Workload{configChange(), without(canary.Revision{Hash: "old", Digest: "2"}, 3)}, missed, reached, missed},
		"over, the old config is back": {[]*workload.Workload{configChange(), without(stable, 3)}, missed, missed, missed},
		"none, rolled out":             {[]*workload.Workload{without(stable, 3)}, missed, reached, missed},
		"none, rolling out":            {[]*workload.Workload{without(stable, 2)}, missed, wait, missed},
		"none, then one":               {[]*workload.Workload{without(stable, 2), at(canary.Waiting, "")}, missed, missed, missed},
		"none, then another version":   {[]*workload.Workload{without(stable, 2), without(next, 3)}, missed, missed, missed},
	}
	for name, test := range tests {
		for goal, want := range map[Goal]Outcome{Held: test.held, Promoted: test.promoted, Aborted: test.aborted} {
			t.Run(name+"/"+string(goal), func(t *testing.T) {
				judge, verdict := NewJudge(goal, 0), Verdict{}
				for _, version := range test.versions {
					verdict = judge.See(version)
				}
				require.Equal(t, want, verdict.Outcome, verdict.Message)
				require.NotEmpty(t, verdict.Message)
			})
		}
	}
	for name, w := range map[string]*workload.Workload{"the release is over": without(next, 3), "the release is another one": superseded(4)} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, unknown, NewJudge(Promoted, 5).See(w).Outcome)
		})
	}
	require.Equal(t, missed, NewJudge(Promoted, 5).See(superseded(6)).Outcome, "the release that is meant was superseded before anybody looked")
}
