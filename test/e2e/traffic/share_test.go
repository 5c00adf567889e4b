package traffic

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/test/e2e/gateway"
)

// TestEachStepGivesTheCanaryItsShare, and to callers inside the cluster, who use the Service, the share of its pods.
// Both are what kubectl sluice status says.
func TestEachStepGivesTheCanaryItsShare(t *testing.T) {
	steps := []struct{ weight, pods float64 }{{1, 1}, {5, 1}, {20, 2}, {50, 5}, {90, 9}}
	require.NoError(t, plane.Env.BuildPlugin())
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "1%, 5%, 20%, 50%, 90%")
		a.hold(v2)
		for i, step := range steps {
			if i > 0 {
				a.next(i + 1)
			}
			said := a.status()
			require.NotNil(t, said.Weight)
			require.False(t, said.Coming)
			require.InDelta(t, *said.Weight, a.measured(v2, step.weight, sample), within, "status says of the route")
			inside := plane.BurstInside(t, a.Name, "web", few)
			require.Empty(t, inside.Lost())
			require.InDelta(t, 100*step.pods/(replicas+step.pods), inside.Shares()[v2], within, "callers inside the cluster")
			require.InDelta(t, said.PodWeight, inside.Shares()[v2], within, "status says of callers inside the cluster")
		}
		a.Approve("web")
		a.promoted(v2)
		a.nothingLost()
	})
}

// status is what kubectl sluice status says of the requests.
func (a *app) status() report.Traffic {
	a.t.Helper()
	said := a.Plugin("alice", "status", "deploy/web", "-o", "json")
	require.Zero(a.t, said.Code, said)
	var status report.ReleaseStatus
	require.NoError(a.t, json.Unmarshal([]byte(said.Stdout), &status))
	require.NotNil(a.t, status.Traffic, said)
	return *status.Traffic
}
