package controller

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
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
	busy     = fault{name: "too many requests", err: apierrors.NewTooManyRequests("slow down", 1)}
	broken   = fault{name: "internal error", reads: true, err: apierrors.NewInternalError(errors.New("etcd"))}
)

// TestEveryCallFailsOnce: each call of a release fails in turn, and the end is as if it had not; after
// it sluice writes nothing.
func TestEveryCallFailsOnce(t *testing.T) {
	for name, faults := range map[string][]fault{
		"held, approved and promoted":            {conflict, crash, timeout, busy, broken},
		"aborted, then fixed":                    {conflict, crash},
		"superseded while the canary is adopted": {conflict, crash},
	} {
		sweepFaults(t, name, faults, running, scenarios[name].play)
	}
}

// sweepFaults plays a scenario again and again, with another call failing each time.
func sweepFaults(t *testing.T, name string, faults []fault, start func(*testing.T) *cluster, play func(*cluster)) {
	t.Helper()
	calls, want := undisturbed(start(t), play)
	for _, f := range faults {
		t.Run(name+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			for n, this := range calls {
				if this.write || f.reads {
					c := start(t)
					c.fault = f.at(c, n+1)
					play(c)
					require.Equal(t, want, c.dump(), "at call %d: %s", n+1, this.verb)
					c.fault = nil
					requireQuiet(t, c)
				}
			}
		})
	}
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

// undisturbed plays a scenario without faults and returns sluice's calls and the end.
func undisturbed(c *cluster, play func(*cluster)) ([]call, string) {
	var calls []call
	c.fault = func(this call) error {
		if !this.applied {
			calls = append(calls, this)
		}
		return nil
	}
	play(c)
	return calls, c.dump()
}

// TestFightIsBounded: somebody undoes every write; sluice slows down and says so.
func TestFightIsBounded(t *testing.T) {
	c := running(t)
	c.upgrade("web:2")
	c.writes = nil
	for range 300 {
		for _, rs := range c.replicaSets() {
			if releaseID(&rs, web.Name) != 0 {
				labels := rs.GetLabels()
				labels["sluice.dev/weight"] = "99"
				rs.SetLabels(labels)
				require.NoError(t, c.store.Update(t.Context(), &rs))
			}
		}
		_, err := c.once()
		require.NoError(t, err)
	}
	require.LessOrEqual(t, len(c.writes), burst)
	require.Contains(t, c.events(), "Warning BackingOff")
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
	return c.reconcile.Reconcile(c.t.Context(), ctrl.Request{NamespacedName: web})
}
