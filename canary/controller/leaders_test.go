package controller

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

// TestTwoLeadersOverlapping: a leader is paused right before a write of its, each in turn. Another one goes
// on until there is nothing left to do. Then the first one wakes, still believes that it leads, and its write
// arrives: it changes nothing. It goes on as if it led.
func TestTwoLeadersOverlapping(t *testing.T) {
	all := telling()
	delete(all, "Deployment superseded while the canary is adopted") // its user waits for a moment that the other one passes
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, want := undisturbed(s.start(t), s.play)
			for _, this := range calls {
				if !this.write {
					continue
				}
				c := s.start(t)
				var before string
				c.fault = func(now call) error {
					if now.number != this.number {
						return nil
					}
					require.False(t, now.applied, "the write of a paused leader was stored")
					paused := c.reconcile
					c.fault = nil
					c.restart()
					c.run()
					before, c.reconcile = c.dump(), paused
					c.fault = func(late call) error {
						require.True(t, !late.write || !late.applied || before == c.dump(), "%s %s of a paused leader changed something", late.verb, late.what)
						c.fault = nil
						return nil
					}
					return nil
				}
				s.play(c)
				requireSame(t, want, c.dump(), "paused before call %d: %s %s", this.number, this.verb, this.what)
				c.fault = nil
				requireQuiet(t, c)
			}
		})
	}
}

// TestTwoLeadersTakeTurns: two that believe to lead, one with a clock that is an hour behind.
func TestTwoLeadersTakeTurns(t *testing.T) {
	for name, s := range telling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, want := undisturbed(s.start(t), s.play)
			c := s.start(t)
			other := newReconciler(c.kind, c.sluice(), c.recorder, Options{SettleTime: time.Second, Now: func() time.Time { return c.now.Add(-time.Hour) }})
			c.pass = func() func() {
				c.reconcile, other = other, c.reconcile
				return func() {}
			}
			s.play(c)
			requireSame(t, unnumbered(want), unnumbered(c.dump()), "by turns")
			c.pass = nil
			requireQuiet(t, c)
		})
	}
}

// TestAClockThatJumps: an hour ahead, before each pass in turn. A step may be over or its deadline past, so
// the release may end as aborted; nobody's approval is skipped, and no stable pod is missing.
func TestAClockThatJumps(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *cluster{
		canary.Deployment: running, canary.StatefulSet: func(t *testing.T) *cluster { return runningSet(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play := func(c *cluster) { c.upgrade("web:2") }
			passes, _ := passesOf(start(t), play)
			for _, pass := range passes {
				c := start(t)
				c.pass = func() func() {
					if c.passes == pass {
						c.now = c.now.Add(time.Hour)
					}
					return func() {}
				}
				play(c)
				require.Contains(t, []canary.Phase{canary.Waiting, canary.Aborted}, c.release().Phase, "before pass %d", pass)
				if name == canary.Deployment {
					require.Equal(t, int64(10), c.pods()["web:1"])
				} else {
					require.Len(t, c.setImages(), 4)
					require.Equal(t, []string{"web:1", "web:1", "web:1"}, c.setImages()[:3])
				}
			}
		})
	}
}
