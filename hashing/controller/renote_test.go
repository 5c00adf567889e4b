package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

func app(i int) workload {
	return workload{canary.Deployment, types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("app-%d", i)}}
}

// A rotation with 500 workloads, all of which are looked at in the same moment: each is noted once, five a second.
func TestARotationIsNotAStormOfWrites(t *testing.T) {
	start := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	r := newRenotes()
	due := map[workload]time.Time{}
	for i := range 500 {
		due[app(i)] = start
	}
	perSecond := map[int]int{}
	for now := start; len(due) > 0; now = now.Add(100 * time.Millisecond) {
		require.Less(t, now.Sub(start), 2*time.Minute)
		for w, at := range due {
			if at.After(now) {
				continue
			}
			wait := r.wait(w, now)
			if wait == 0 {
				delete(due, w)
				perSecond[int(now.Sub(start)/time.Second)]++
				continue
			}
			due[w] = now.Add(wait)
		}
	}
	total := 0
	for second, writes := range perSecond {
		total += writes
		if second == 0 {
			require.LessOrEqual(t, writes, renoteBurst+renoteRate)
			continue
		}
		require.LessOrEqual(t, writes, renoteRate+1, "in second %d", second)
	}
	require.Equal(t, 500, total)
	require.Empty(t, r.turns)
}

func TestAWorkloadKeepsItsTurn(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	r := newRenotes()
	for i := range renoteBurst {
		require.Zero(t, r.wait(app(i), now))
	}
	late := app(renoteBurst)
	wait := r.wait(late, now)
	require.Equal(t, time.Second/renoteRate, wait)
	require.Equal(t, wait/2, r.wait(late, now.Add(wait/2)), "an event in between does not send it back")
	require.Zero(t, r.wait(late, now.Add(wait)))

	gone := app(renoteBurst + 1)
	require.NotZero(t, r.wait(gone, now))
	r.forget(gone)
	require.Empty(t, r.turns)
}
