package controller

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestStaleReadAtEveryWrite: in each pass in turn, sluice reads what the store held some writes ago, whoever
// made them, though its reads are quorum reads. Every write is guarded by what was read, so the end is the
// same.
func TestStaleReadAtEveryWrite(t *testing.T) {
	for name, s := range telling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			passes, want := passesOf(s.start(t), s.play)
			for name, old := range map[string]struct {
				writes int  // ago
				crash  bool // sluice starts again just before, and sees less than it had seen
				alone  bool // all but the workload is current
			}{
				"one write ago":                        {writes: 1},
				"four writes ago, after a start":       {writes: 4, crash: true},
				"the workload alone, three writes ago": {writes: 3, alone: true},
			} {
				t.Run(name, func(t *testing.T) {
					for _, pass := range passes {
						c := s.start(t)
						c.pass = func() func() {
							if c.passes != pass {
								return func() {}
							}
							if old.crash {
								c.restart()
							}
							then := c.raw.states[max(0, len(c.raw.states)-1-old.writes)]
							c.stale = then
							if old.alone {
								c.stale = mixed{Reader: c.raw, then: then, kind: s.kind}
							}
							return func() { c.stale, c.woken = nil, true }
						}
						s.play(c)
						requireSame(t, unnumbered(want), unnumbered(c.dump()), "pass %d", pass)
						c.pass = nil
						requireQuiet(t, c)
					}
				})
			}
		})
	}
}

// mixed shows workloads of a kind as they were then, and all else as it is.
type mixed struct {
	client.Reader
	then past
	kind string
}

func (m mixed) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if kindOf(object) == m.kind {
		return m.then.Get(ctx, key, object, opts...)
	}
	return m.Reader.Get(ctx, key, object, opts...)
}

// passesOf plays a scenario and returns the passes before which somebody wrote, and the end.
func passesOf(c *cluster, play func(*cluster)) (passes []int, end string) {
	seen := 0
	c.pass = func() func() {
		if len(c.raw.states) > seen {
			passes = append(passes, c.passes)
		}
		seen = len(c.raw.states)
		return func() {}
	}
	play(c)
	return passes, c.dump()
}
