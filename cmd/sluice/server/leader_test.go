package server

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// leaseStore is a Lease in memory, as one replica sees it; cut off, it fails.
type leaseStore struct {
	shared   *sharedLease
	identity string
	cutOff   atomic.Bool
}

type sharedLease struct {
	mu     sync.Mutex
	record *resourcelock.LeaderElectionRecord
}

var errCutOff = errors.New("connection refused")

func (l *leaseStore) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	if l.cutOff.Load() {
		return nil, nil, errCutOff
	}
	if l.shared.record == nil {
		return nil, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "leases"}, LeaseName)
	}
	record := *l.shared.record
	raw, err := json.Marshal(record)
	return &record, raw, err
}

func (l *leaseStore) Create(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.Update(context.Background(), record)
}

func (l *leaseStore) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	if l.cutOff.Load() {
		return errCutOff
	}
	l.shared.record = &record
	return nil
}

func (l *leaseStore) RecordEvent(string) {}
func (l *leaseStore) Identity() string   { return l.identity }
func (l *leaseStore) Describe() string   { return l.identity }

func (s *sharedLease) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil {
		return ""
	}
	return s.record.HolderIdentity
}

const patience = 10 * time.Second

// replica is a leadership whose terms the test sees.
type replica struct {
	*leadership
	store *leaseStore
	begun chan context.Context
	end   chan error // what the work returns, where the test ends it
}

func newReplica(shared *sharedLease, name string) *replica {
	r := &replica{store: &leaseStore{shared: shared, identity: name}, begun: make(chan context.Context, 10), end: make(chan error, 10)}
	r.leadership = &leadership{
		lock:     r.store,
		election: election{lease: 300 * time.Millisecond, renew: 200 * time.Millisecond, retry: 20 * time.Millisecond},
		work: func(ctx context.Context) error {
			r.begun <- ctx
			select {
			case <-ctx.Done():
				return nil
			case err := <-r.end:
				return err
			}
		},
	}
	return r
}

func (r *replica) leads(t *testing.T) context.Context {
	t.Helper()
	select {
	case ctx := <-r.begun:
		return ctx
	case <-time.After(patience):
		t.Fatal("it never came to lead")
		return nil
	}
}

func TestLeadership(t *testing.T) {
	t.Run("a lost lease ends the term and nothing else", func(t *testing.T) {
		r := newReplica(&sharedLease{}, "a")
		running := background(t.Context(), r.run)
		first := r.leads(t)

		r.store.cutOff.Store(true)
		awaitEnd(first, t)
		r.store.cutOff.Store(false)

		r.leads(t)
		running.stop()
	})

	t.Run("the lease is released only after the work has ended", func(t *testing.T) {
		shared := &sharedLease{}
		r := newReplica(shared, "a")
		atTheEnd := make(chan string, 1)
		r.work = func(ctx context.Context) error {
			r.begun <- ctx
			<-ctx.Done()
			atTheEnd <- shared.holder()
			return nil
		}
		running := background(t.Context(), r.run)
		r.leads(t)

		running.stop()

		require.Equal(t, "a", <-atTheEnd)
		require.Empty(t, shared.holder())
	})

	t.Run("the next replica leads at once", func(t *testing.T) {
		shared := &sharedLease{}
		a, b := newReplica(shared, "a"), newReplica(shared, "b")
		runningA := background(t.Context(), a.run)
		a.leads(t)
		runningB := background(t.Context(), b.run)
		require.Empty(t, b.begun)

		runningA.stop()

		b.leads(t)
		runningB.stop()
	})

	t.Run("work that failed is followed by another term", func(t *testing.T) {
		r := newReplica(&sharedLease{}, "a")
		running := background(t.Context(), r.run)
		r.leads(t)

		r.end <- errors.New("a cache could not be filled")

		r.leads(t)
		running.stop()
	})

	t.Run("who never leads ends when told", func(t *testing.T) {
		shared := &sharedLease{}
		a, b := newReplica(shared, "a"), newReplica(shared, "b")
		runningA := background(t.Context(), a.run)
		a.leads(t)
		runningB := background(t.Context(), b.run)

		runningB.stop()

		require.Equal(t, "a", shared.holder())
		runningA.stop()
	})
}

func TestTheMetricOfLeadingGoesBackTo0(t *testing.T) {
	r := newReplica(&sharedLease{}, "a")
	running := background(t.Context(), r.run)
	r.leads(t)
	require.Eventually(t, func() bool { return leadingMetric(t) == 1 }, patience, time.Millisecond)

	running.stop()

	require.Zero(t, leadingMetric(t))
}

func leadingMetric(t *testing.T) float64 {
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "leader_election_master_status" {
			require.Len(t, family.GetMetric(), 1)
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

func awaitEnd(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("the term never ended")
	}
}
