package traffic

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
)

// Three apps at a time, each with requests enough to see within ten milliseconds who answers, and seven aborts of each.
const (
	apps, aborts = 3, 7
	abortRate    = 100
	abortGoal    = time.Second
)

// TestAnAbortTakesTheCanaryItsRequestsWithinASecond: the median of all aborts, from the write to the last answer.
func TestAnAbortTakesTheCanaryItsRequestsWithinASecond(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		var lock sync.Mutex
		var took []time.Duration
		t.Run("aborts", func(t *testing.T) {
			for i := range apps {
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					a := startAt(t, kind, "20%", abortRate)
					a.hold(v2)
					for i := range aborts {
						if i > 0 {
							a.Retry("web")
							a.WaitPhase("web", canary.Waiting, 1)
						}
						one := a.abortAndMeasure(v2)
						lock.Lock()
						took = append(took, one)
						lock.Unlock()
					}
					a.SetImage("web", v1)
					a.restored()
					a.nothingLost()
				})
			}
		})
		require.Len(t, took, apps*aborts)
		slices.Sort(took)
		median := took[len(took)/2]
		t.Logf("from the abort to the last answer of the canary: median %s, at most %s, of %d", median, took[len(took)-1], len(took))
		require.LessOrEqual(t, median, abortGoal)
	})
}

// abortAndMeasure aborts a step that gives the canary 20 % and returns when it had answered for the last time,
// counted from the write.
func (a *app) abortAndMeasure(image string) time.Duration {
	a.t.Helper()
	plane.AwaitCanaryWeight(a.t, a.Name, 20)
	plane.Await(a.t, gateway.Host(a.Name), "the canary answers", func(answer gateway.Answer) bool { return answer.Image == image })
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]any{canary.AbortAnnotation: a.Release("web").Name()}}}
	begun := time.Now()
	_, err := a.Patch("web", types.MergePatchType, patch)
	require.NoError(a.t, err)
	a.WaitPhase("web", canary.Aborted, 1)
	a.PodsOfEventually("web", image, 0)
	a.settle(v1)
	last, ok := a.load.LastOf(image)
	require.True(a.t, ok)
	return max(0, last.Sub(begun))
}
