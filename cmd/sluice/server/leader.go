package server

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// LeaseName is the Lease, in sluice's namespace, of the replica whose
// controllers run.
const LeaseName = "sluice-leader"

// election is when a Lease changes hands. A leader that cannot reach the API
// server stops after renew, which is well before another may start after lease.
type election struct {
	lease, renew, retry time.Duration
}

var defaultElection = election{lease: 15 * time.Second, renew: 10 * time.Second, retry: 2 * time.Second}

// leadership runs work in terms: each begins when this replica gets the Lease
// and ends when it loses it or ctx ends.
type leadership struct {
	lock resourcelock.Interface
	election
	work func(ctx context.Context) error
}

func newLeadership(config *rest.Config, namespace string, work func(context.Context) error) (*leadership, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the host name for the leader election: %w", err)
	}
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + uuid.NewString()}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, LeaseName, identity,
		rest.CopyConfig(config), defaultElection.renew)
	if err != nil {
		return nil, fmt.Errorf("setting up leader election: %w", err)
	}
	return &leadership{lock: lock, election: defaultElection, work: work}, nil
}

// run stands for election until ctx ends. It returns after work has, and the
// Lease is released only then: no two replicas work at once. A term that failed
// (a cache that could not be filled) is followed by another one, here or in
// another replica; the webhook serves on.
func (l *leadership) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.term(ctx); err != nil {
			log.FromContext(ctx).Error(err, "the controllers stopped, standing for election again")
			pause(ctx, l.retry)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// term waits for the Lease and works for as long as it is held. The election has
// a context of its own, because ending it gives the Lease away.
func (l *leadership) term(ctx context.Context) error {
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	electing = log.IntoContext(electing, quietAboutRivals(log.FromContext(ctx)))
	elected := make(chan context.Context, 1)
	config := leaderelection.LeaderElectionConfig{
		Lock: l.lock, LeaseDuration: l.lease, RenewDeadline: l.renew, RetryPeriod: l.retry,
		ReleaseOnCancel: true, Name: LeaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) { elected <- held },
			OnStoppedLeading: func() { log.FromContext(ctx).V(1).Info("stopped leading") },
		},
	}
	elector, err := leaderelection.NewLeaderElector(config)
	if err != nil {
		return fmt.Errorf("setting up leader election: %w", err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(electing)
	}()
	defer func() {
		resign()
		<-over
		// An elector that is told to stop leaves its metric at 1, a new one begins with 0.
		_, _ = leaderelection.NewLeaderElector(config) // as valid as before
	}()
	select {
	case <-ctx.Done():
		return nil
	case held := <-elected:
		return l.lead(ctx, held)
	}
}

// lead works until the Lease is lost or ctx ends.
func (l *leadership) lead(ctx, held context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(held, stop)()
	log.FromContext(ctx).Info("leading")
	return l.work(working)
}
