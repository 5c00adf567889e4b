package traffic

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/watch"
)

// TestBlueAndGreen: nothing to the new version before step one is approved, nothing to the old one after that. The old
// one stays whole until step two is approved: until then an abort brings everything back to it at once.
func TestBlueAndGreen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "0%/100%, 100%")
		held := time.Now()
		a.hold(v2)
		first := a.toGreen(v1, v2)
		aborted := a.abort()
		a.WaitPhase("web", canary.Aborted, 2)
		a.PodsOfEventually("web", v2, 0)
		a.back(v1)
		a.Retry("web")
		a.WaitPhase("web", canary.Waiting, 1)
		second := a.toGreen(v1, v2)
		kept := time.Now()
		a.Approve("web")
		a.promoted(v2)

		all := a.nothingLost()
		require.Empty(t, all.Between(time.Time{}, first.approved).Of(v2), "before the switch")
		require.Empty(t, all.Between(first.done, aborted).Of(v1), "after it")
		requireLeft(t, all.Between(time.Time{}, second.approved), v2, aborted)
		require.Empty(t, all.Between(second.done, time.Now()).Of(v1), "after the second one")
		require.Equal(t, replicas, fewestReady(a.Recorded(), v1, held, kept), "of blue")
	})
}

// turn is when everything was sent to another version: when that was approved, and when the gateway had done it.
type turn struct{ approved, done time.Time }

// toGreen approves the step at which green is there and gets nothing, and returns once it gets everything.
func (a *app) toGreen(blue, green string) turn {
	a.t.Helper()
	a.PodsOfEventually("web", green, replicas)
	a.only(blue)
	approved := time.Now()
	a.next(2)
	plane.AwaitCanaryWeight(a.t, a.Name, 100)
	done := time.Now()
	a.only(green)
	return turn{approved, done}
}

// fewestReady returns how many pods of an image were ready at least, at any time in between.
func fewestReady(events []watch.Event, image string, from, to time.Time) int {
	ready, fewest := map[types.UID]bool{}, 0
	for _, e := range events {
		if e.Pod == nil || e.Pod.Spec.Containers[0].Image != image || e.At.After(to) {
			continue
		}
		delete(ready, e.Pod.UID)
		if !e.Deleted && e.Pod.DeletionTimestamp == nil && slices.ContainsFunc(e.Pod.Status.Conditions, isReady) {
			ready[e.Pod.UID] = true
		}
		if e.At.Before(from) {
			fewest = len(ready)
		}
		fewest = min(fewest, len(ready))
	}
	return fewest
}

func isReady(c corev1.PodCondition) bool {
	return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
}
