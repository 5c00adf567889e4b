package certs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timed lets pauses pass at once on the cluster's clock, up to the limit; then
// it ends the context.
func timed(t *testing.T, c *cluster, a *Authority, limit int) (context.Context, *[]time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	var pauses []time.Duration
	a.after = func(d time.Duration) <-chan time.Time {
		pauses = append(pauses, d)
		if len(pauses) == limit {
			cancel()
			return nil
		}
		c.clock.advance(d)
		elapsed := make(chan time.Time, 1)
		elapsed <- c.clock.now()
		return elapsed
	}
	return ctx, &pauses
}

func TestBootstrapReturnsWhenReady(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	c.write = func(n int, _ string, apply func() error) error {
		if n <= 2 {
			return errRefused
		}
		return apply()
	}
	a := c.replica(options())
	ctx, pauses := timed(t, c, a, 100)
	require.NoError(t, a.Bootstrap(ctx))
	require.NoError(t, a.Ready())
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, (*pauses)[:2])
}

func TestBootstrapSaysWhyItGaveUp(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	c.write = func(int, string, func() error) error { return errRefused }
	a := c.replica(options())
	ctx, _ := timed(t, c, a, 3)
	err := a.Bootstrap(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "waiting for a trusted serving certificate: there is no serving certificate yet: storing the CA in Secret sluice-system/sluice-ca (Found): refused by the test")
}

func TestPauses(t *testing.T) {
	for name, tc := range map[string]struct {
		leafless, missing bool
		waits             []time.Duration
		want              time.Duration
	}{
		"nothing is due":             {waits: []time.Duration{0, -day, 30 * day}, want: quick.Interval},
		"something is due":           {waits: []time.Duration{3 * time.Hour, time.Hour}, want: time.Hour},
		"something is due at once":   {waits: []time.Duration{time.Nanosecond}, want: shortestPause},
		"there is no leaf":           {leafless: true, waits: []time.Duration{time.Hour}, want: pendingInterval},
		"a configuration is missing": {missing: true, want: pendingInterval},
	} {
		t.Run(name, func(t *testing.T) {
			a := newCluster().replica(options())
			if !tc.leafless {
				a.leaf.Store(issue(t, newCA(t, start), start))
			}
			if tc.missing {
				a.missing["sluice"] = true
			}
			require.Equal(t, tc.want, a.soonest(tc.waits...))
		})
	}
}

func TestStartBacksOffAndGoesOn(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	failing := true
	c.write = func(_ int, _ string, apply func() error) error {
		if failing {
			return errRefused
		}
		return apply()
	}
	opts := options()
	opts.Interval = 20 * time.Second
	a := c.replica(opts)
	ctx, pauses := timed(t, c, a, 8)
	inner := a.after
	a.after = func(d time.Duration) <-chan time.Time {
		failing = len(*pauses) < 5
		return inner(d)
	}
	require.NoError(t, a.Start(ctx))
	require.Equal(t, []time.Duration{
		time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 20 * time.Second, 20 * time.Second, 20 * time.Second,
	}, *pauses)
	require.NoError(t, a.Ready())
	require.False(t, a.NeedLeaderElection())
}
