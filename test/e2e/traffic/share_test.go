package traffic

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/gateway"
)

// TestEachStepGivesTheCanaryItsShare, and to callers inside the cluster, who use the Service, the share of its pods.
func TestEachStepGivesTheCanaryItsShare(t *testing.T) {
	steps := []struct{ weight, pods float64 }{{1, 1}, {5, 1}, {20, 2}, {50, 5}, {90, 9}}
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "1%, 5%, 20%, 50%, 90%")
		a.hold(v2)
		for i, step := range steps {
			if i > 0 {
				a.next(i + 1)
			}
			a.share(v2, step.weight, sample)
			inside := plane.BurstInside(t, a.Name, "web", few)
			require.Empty(t, inside.Lost())
			require.InDelta(t, 100*step.pods/(replicas+step.pods), inside.Shares()[v2], within, "callers inside the cluster")
		}
		a.Approve("web")
		a.promoted(v2)
		a.nothingLost()
	})
}
