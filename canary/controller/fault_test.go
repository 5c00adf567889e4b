package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"sluice.dev/sluice/canary"
)

// fault is something that goes wrong with a call.
type fault struct {
	name  string
	reads bool // it can happen to a read too
	crash bool // the write was applied, but sluice died before it knew
	late  bool // the write was applied although it seemed to fail
	err   error
}

var (
	conflict = fault{name: "conflict", err: apierrors.NewConflict(replicaSetResource, "web", errors.New("the object has been modified"))}
	crash    = fault{name: "crash after it was applied", crash: true, err: errors.New("crashed")}
	timeout  = fault{name: "timed out but applied", err: context.DeadlineExceeded, late: true}
	busy     = fault{name: "too many requests", reads: true, err: apierrors.NewTooManyRequests("slow down", 1)}
	broken   = fault{name: "internal error", reads: true, err: apierrors.NewInternalError(errors.New("etcd"))}
)

// faults are all that can happen to a call.
var faults = []fault{conflict, crash, timeout, busy, broken}

// story is a whole release, from a workload that runs version one. Without faults it ends in a state of its
// own.
type story struct {
	kind  string
	reads bool // fail too
	start func(*testing.T) *cluster
	play  func(*cluster)
}

// stories are the scenarios of both kinds.
func stories() map[string]story {
	all := map[string]story{}
	for name, s := range scenarios {
		all["Deployment "+name] = story{canary.Deployment, name == "held, approved and promoted", running, s.play}
	}
	for name, s := range setScenarios {
		all["StatefulSet "+name] = story{canary.StatefulSet, name == "a broken version is reverted", func(t *testing.T) *cluster { return runningSet(t, s.start...) }, s.play}
	}
	return all
}

// telling are those of the stories that go through every phase between them.
func telling() map[string]story {
	all, few := stories(), map[string]story{}
	for _, name := range []string{
		"Deployment two steps, the second for ten minutes", "Deployment aborted by hand, retried and promoted",
		"Deployment superseded while the canary is adopted", "Deployment reverted",
		"StatefulSet held, approved and promoted", "StatefulSet aborted by hand at step two and tried again",
		"StatefulSet superseded at step two", "StatefulSet reverted",
	} {
		few[name] = all[name]
	}
	return few
}

// TestEveryCallFailsOnce: each call of each release fails in turn, and the end is as if it had not; after
// it sluice writes nothing. Of reads that see the same, while sluice waits, the first one fails. Reads fail
// in the stories that are told most often; what is read is the same in all.
func TestEveryCallFailsOnce(t *testing.T) {
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, want := undisturbed(s.start(t), s.play)
			for _, f := range faults {
				t.Run(f.name, func(t *testing.T) {
					for _, this := range calls {
						if this.write || (s.reads && f.reads) {
							c := s.start(t)
							c.fault = f.at(c, this.number)
							s.play(c)
							requireSame(t, want, c.dump(), "call %d: %s %s", this.number, this.verb, this.what)
							c.fault = nil
							requireQuiet(t, c)
						}
					}
				})
			}
		})
	}
}

// requireSame compares what clusters dumped, and shows the lines that differ.
func requireSame(t *testing.T, want, got string, format string, args ...any) {
	t.Helper()
	if want == got {
		return
	}
	all, others := strings.Split(want, "\n"), strings.Split(got, "\n")
	only := func(lines, not []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(not, line) }), "\n")
	}
	t.Fatalf("it ends in another way, %s:\n%s\nwant:\n%s", fmt.Sprintf(format, args...), only(others, all), only(all, others))
}

// at returns the fault for the n-th call, counted from 1.
func (f fault) at(c *cluster, n int) func(call) error {
	return func(this call) error {
		if this.number != n || this.applied != (f.late || f.crash) {
			return nil
		}
		c.crashed = f.crash
		return f.err
	}
}

// undisturbed plays a scenario without faults and returns sluice's calls, each in each state of the store
// once, and the end.
func undisturbed(c *cluster, play func(*cluster)) ([]call, string) {
	var calls []call
	seen := map[string]bool{}
	c.fault = func(this call) error {
		if key := fmt.Sprint(this.verb, this.what, len(c.raw.states)); !this.applied && !seen[key] {
			seen[key] = true
			calls = append(calls, this)
		}
		return nil
	}
	play(c)
	return calls, c.dump()
}

func (c *cluster) events() string {
	var all []string
	for {
		select {
		case event := <-c.recorder.Events:
			all = append(all, event)
		default:
			return strings.Join(all, "\n")
		}
	}
}

func (c *cluster) once() (ctrl.Result, error) {
	if c.crashed {
		c.crashed = false
		c.restart()
	}
	if c.passes++; c.pass != nil {
		defer c.pass()()
	}
	return c.reconcile.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: web})
}
