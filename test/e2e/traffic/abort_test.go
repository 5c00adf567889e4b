package traffic

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
)

const (
	aborts    = 20
	abortGoal = time.Second
)

// TestAnAbortTakesTheCanaryItsRequestsWithinASecond: the median of twenty, from the write to the last answer.
func TestAnAbortTakesTheCanaryItsRequestsWithinASecond(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%")
		a.hold(v2)
		var took []time.Duration
		for range aborts {
			plane.AwaitCanaryWeight(t, a.Name, 20)
			plane.Await(t, gateway.Host(a.Name), "the canary answers", func(answer gateway.Answer) bool { return answer.Image == v2 })
			patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{canary.AbortAnnotation: a.Release("web").Name()}}}
			begun := time.Now()
			_, err := a.Patch("web", types.MergePatchType, patch)
			require.NoError(t, err)
			a.WaitPhase("web", canary.Aborted, 1)
			a.PodsOfEventually("web", v2, 0)
			last, ok := a.load.LastOf(v2)
			require.True(t, ok)
			took = append(took, max(0, last.Sub(begun)))
			a.Retry("web")
			a.WaitPhase("web", canary.Waiting, 1)
		}
		a.SetImage("web", v1)
		a.restored()
		a.nothingLost()
		slices.Sort(took)
		median := took[len(took)/2]
		t.Logf("from the abort to the last answer of the canary: median %s, at most %s, of %d", median, took[len(took)-1], len(took))
		require.LessOrEqual(t, median, abortGoal)
	})
}
