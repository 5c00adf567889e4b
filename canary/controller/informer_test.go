package controller

import (
	"maps"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// informer wakes sluice as the API server's watches do, and by nothing else: for workloads with a release
// and ReplicaSets of one, when it asked to be woken, and some time after a failure.
type informer struct {
	c      *cluster
	seen   int       // states of the store
	events int       // until now
	dirty  bool      // there is something to look at
	again  time.Time // when sluice looks by itself; zero: never
	fate   func(event int) fate
	late   bool // an event comes after its successor
}

// fate is what becomes of an event.
type fate int

const (
	delivered fate = iota
	dropped        // until the informer lists again
	duplicated
	delayed
)

// run lets sluice and the native controllers work until nothing wakes sluice any more. Then the informer
// lists again, as it does when a watch broke.
func (i *informer) run() {
	i.c.t.Helper()
	i.work()
	if i.fate != nil {
		i.dirty = true
		i.work()
	}
}

func (i *informer) work() {
	i.c.t.Helper()
	for range 1000 {
		i.c.native()
		i.watch()
		switch {
		case i.dirty:
			i.dirty = false
			i.look()
		case i.late:
			i.late, i.dirty = false, true
		case !i.again.IsZero():
			i.c.now, i.again = i.again, time.Time{}
			i.dirty = true
		default:
			return
		}
	}
	i.c.t.Fatal("sluice does not come to rest")
}

func (i *informer) look() {
	result, err := i.c.once()
	i.again = time.Time{}
	switch {
	case err != nil:
		i.again = i.c.now.Add(firstRetry)
	case result.RequeueAfter > 0:
		i.again = i.c.now.Add(result.RequeueAfter)
	}
}

// watch hands on what was written since, until that is an event.
func (i *informer) watch() {
	for ; i.seen < len(i.c.raw.states) && !i.dirty; i.seen++ {
		var before past
		if i.seen > 0 {
			before = i.c.raw.states[i.seen-1]
		}
		after := i.c.raw.states[i.seen]
		for _, key := range slices.Sorted(maps.Keys(union(before, after))) {
			if before[key] != after[key] && (i.watched(before[key]) || i.watched(after[key])) {
				i.event()
			}
		}
	}
}

func (i *informer) event() {
	i.events++
	what := delivered
	if i.fate != nil {
		what = i.fate(i.events)
	}
	switch what {
	case dropped:
	case delayed:
		i.late = true
	case duplicated:
		i.dirty, i.late = true, true
	case delivered:
		i.dirty = true
	}
}

// watched: a workload with a release, or a ReplicaSet of one, as CacheOptions and Setup say.
func (i *informer) watched(object client.Object) bool {
	if object == nil {
		return false
	}
	switch kindOf(object) {
	case i.c.kind.Kind:
		return object.GetLabels()[canary.ActiveLabel] == "true"
	case replicaSetKind.Kind:
		return len(requestsOf(i.c.t.Context(), object)) > 0 && object.GetLabels()[canary.WorkloadLabel] != ""
	}
	return false
}

func union(a, b past) past {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// watching makes the informer the only one that wakes sluice.
func watching(c *cluster, fate func(event int) fate) *informer {
	c.informer = &informer{c: c, fate: fate, seen: len(c.raw.states)}
	return c.informer
}

// TestSluiceIsWokenWhereThereIsSomethingToDo: no release needs a look that nothing asks for.
func TestSluiceIsWokenWhereThereIsSomethingToDo(t *testing.T) {
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, want := undisturbed(s.start(t), s.play)
			c := s.start(t)
			watching(c, nil)
			s.play(c)
			requireSame(t, want, c.dump(), "woken by events alone")
		})
	}
}

// TestEachWatchEventDroppedDuplicatedDelayed: an event of the release is lost until the informer lists
// again, comes twice, or comes after its successor, each in turn.
func TestEachWatchEventDroppedDuplicatedDelayed(t *testing.T) {
	for name, s := range telling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.start(t)
			informer := watching(c, func(int) fate { return delivered })
			s.play(c)
			want := c.dump()
			for name, what := range map[string]fate{"dropped": dropped, "duplicated": duplicated, "delayed": delayed} {
				t.Run(name, func(t *testing.T) {
					for n := range informer.events {
						c := s.start(t)
						watching(c, func(event int) fate {
							if event == n+1 {
								return what
							}
							return delivered
						})
						s.play(c)
						requireSame(t, want, c.dump(), "event %d", n+1)
						c.informer = nil
						requireQuiet(t, c)
					}
				})
			}
		})
	}
}
