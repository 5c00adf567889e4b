package traffic

import (
	"fmt"
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

// Requests enough to each app to see within twenty milliseconds who answers.
const (
	abortRate  = 50
	abortGoal  = time.Second
	abortLimit = 3 * time.Second // of any one, on a busy machine
)

// TestAnAbortTakesTheCanaryItsRequestsWithinASecond: the median of all aborts, from the write to the last answer.
func TestAnAbortTakesTheCanaryItsRequestsWithinASecond(t *testing.T) {
	// As many apps at once as leave the machine time: an abort on an Ingress waits five seconds, twice.
	t.Run(gateway.HTTPRoute.Name, func(t *testing.T) { measureAborts(t, gateway.HTTPRoute, 3, 7) })
	t.Run(gateway.Ingress.Name, func(t *testing.T) { measureAborts(t, gateway.Ingress, 4, 5) })
}

// measureAborts requires that the median is within a second, of so many aborts of each of some apps.
func measureAborts(t *testing.T, kind gateway.Kind, apps, aborts int) {
	t.Helper()
	var lock sync.Mutex
	var took []time.Duration
	tests := map[string]func(*testing.T, *meeting){}
	for i := range apps {
		tests[strconv.Itoa(i)] = func(t *testing.T, _ *meeting) {
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
		}
	}
	together(t, tests)
	require.Len(t, took, apps*aborts)
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("from the abort to the last answer of the canary: median %s, at most %s, of %d", median, took[len(took)-1], len(took))
	require.LessOrEqual(t, median, abortGoal)
}

// abortAndMeasure aborts a step that gives the canary 20 % and returns when it had answered for the last time,
// counted from the write.
func (a *app) abortAndMeasure(image string) time.Duration {
	a.t.Helper()
	plane.AwaitCanaryWeight(a.t, a.Name, 20)
	plane.Await(a.t, gateway.Host(a.Name), "the canary answers", func(answer gateway.Answer) bool { return answer.Image == image })
	begun := a.abort()
	a.WaitPhase("web", canary.Aborted, 1)
	a.PodsOfEventually("web", image, 0)
	a.settle(v1)
	last, ok := a.load.LastOf(image)
	require.True(a.t, ok)
	return max(0, last.Sub(begun))
}

// abort aborts the release and returns when, before the write.
func (a *app) abort() time.Time {
	a.t.Helper()
	patch := string(abortPatch(a.t, a.Release("web")))
	begun := time.Now()
	_, err := a.Patch("web", types.MergePatchType, patch)
	require.NoError(a.t, err)
	return begun
}

func abortPatch(t *testing.T, release *canary.Release) []byte {
	t.Helper()
	require.NotNil(t, release)
	return fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, canary.AbortAnnotation, release.Name())
}

// requireLeft requires that an aborted version gave its last answer soon after the abort.
func requireLeft(t *testing.T, all gateway.Answers, image string, aborted time.Time) {
	t.Helper()
	last, ok := all.LastOf(image)
	require.True(t, ok, "%s never answered", image)
	took := last.Sub(aborted)
	require.LessOrEqual(t, took, abortLimit, "from the abort to the last answer of %s", image)
	t.Logf("%s answered last %s after its abort", image, took.Round(time.Millisecond))
}
