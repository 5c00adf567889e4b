package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Authority keeps one replica's serving certificate and, together with every
// other replica, the CA and the caBundle of the webhook configurations.
type Authority struct {
	client client.Client
	opts   Options
	now    func() time.Time
	after  func(time.Duration) <-chan time.Time
	plan   func(Stored, Observed, time.Time, Timing) Step

	rounds    sync.Mutex // held for a round: Bootstrap and Start do not interleave
	missing   map[string]bool
	candidate candidate

	leaf  atomic.Pointer[tls.Certificate]
	trust atomic.Pointer[[]configuration]
	last  atomic.Pointer[outcome]
}

// outcome is how the last round ended.
type outcome struct {
	reason string
	err    error
}

// New makes an Authority from valid Options. The client must not be cached:
// sluice may GET its Secrets but neither list nor watch them, and the order of
// reads and writes is what the rotation rests on.
func New(c client.Client, opts Options, now func() time.Time) *Authority {
	return &Authority{
		client: c, opts: opts.withDefaults(), now: now, after: time.After, plan: Plan,
		missing: map[string]bool{},
	}
}

// ConfigureTLS makes a server present the leaf, at TLS 1.2 or newer.
func (a *Authority) ConfigureTLS(config *tls.Config) {
	config.MinVersion = tls.VersionTLS12
	config.GetCertificate = a.GetCertificate
}

// GetCertificate returns the present leaf; it asks nobody and never blocks.
func (a *Authority) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if leaf := a.leaf.Load(); leaf != nil {
		return leaf, nil
	}
	return nil, a.unissued()
}

// Ready returns nil when the leaf is valid and every webhook that exists trusts
// it, as far as the last look at the cluster tells. An unreachable API server
// changes nothing: it cannot call the webhooks either.
func (a *Authority) Ready() error {
	leaf, now := a.leaf.Load(), a.now()
	if leaf == nil {
		return a.unissued()
	}
	if expired(leaf.Leaf, now.Add(a.opts.Skew)) { // the API server's clock may be ahead
		return errors.Join(fmt.Errorf("the serving certificate expires at %s", leaf.Leaf.NotAfter.UTC().Format(time.RFC3339)), a.lastError())
	}
	for _, c := range a.trusting() {
		if err := c.verify(leaf, now); err != nil {
			return errors.Join(err, a.lastError())
		}
	}
	return nil
}

// NeedLeaderElection is false: every replica serves.
func (a *Authority) NeedLeaderElection() bool { return false }

func (a *Authority) unissued() error {
	last := a.last.Load()
	if last == nil {
		return errors.New("there is no serving certificate yet")
	}
	if last.err != nil {
		return fmt.Errorf("there is no serving certificate yet: %w", last.err)
	}
	return fmt.Errorf("there is no serving certificate yet: %s", last.reason)
}

func (a *Authority) lastError() error {
	if last := a.last.Load(); last != nil {
		return last.err
	}
	return nil
}

// trusting is what the webhook configurations held when they were last read.
func (a *Authority) trusting() []configuration {
	if trust := a.trust.Load(); trust != nil {
		return slices.Clone(*trust)
	}
	return nil
}

// round looks at the cluster, brings Secret, configurations and leaf as far as
// they may go now, and returns how long nothing will be due.
func (a *Authority) round(ctx context.Context) (time.Duration, error) {
	a.rounds.Lock()
	defer a.rounds.Unlock()
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()

	wait, reason, err := a.converge(ctx)
	a.last.Store(&outcome{reason: reason, err: err})
	return wait, err
}

// A round is a handful of requests. The bound keeps a hanging one from delaying
// the next renewal, and stands in the arithmetic of doc.go.
const roundTimeout = time.Minute

// A rotation takes three writes of the Secret and one of each configuration;
// the rest is for losing against other replicas.
const mostSteps = 16

func (a *Authority) converge(ctx context.Context) (time.Duration, string, error) {
	step := a.ownStep
	if a.opts.ServingSecret != "" {
		step = a.servingStep
	}
	for range mostSteps {
		result, err := step(ctx)
		if err != nil {
			return 0, "", err
		}
		if !result.again {
			return result.wait, result.reason, nil
		}
	}
	return 0, "", fmt.Errorf("giving up for now after %d steps: someone else keeps writing the same Secret or webhook configurations", mostSteps)
}

type stepResult struct {
	again  bool // something was written, by us or by who was faster: read and plan again
	wait   time.Duration
	reason string
}
