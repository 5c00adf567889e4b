package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"sluice.dev/sluice/certs"
	"sluice.dev/sluice/hashing/live"
	"sluice.dev/sluice/webhook"
)

// Hooks are what the caller does in between; nil is nothing.
type Hooks struct {
	// Serving is called once the webhook serves, before any controller runs.
	Serving func(ctx context.Context) error
	// Leaving is called when the controllers have stopped, while the webhook
	// still serves. It is called also where Serving was not.
	Leaving func(ctx context.Context)
}

// Server is one replica of sluice.
type Server struct {
	cluster   Cluster
	opts      Options
	hooks     Hooks
	authority *certs.Authority
	keyring   *live.Keyring
	webhook   *webhook.Server
	probes    *probes
	leader    *leadership
	caches    caches
}

// startTimeout is how long the API server may take until it has answered what a
// start needs.
const startTimeout = 90 * time.Second

// New makes a Server from valid Options and opens its ports.
func New(cluster Cluster, opts Options, hooks Hooks) (*Server, error) {
	s := &Server{cluster: cluster, opts: opts, hooks: hooks, caches: caches{listTime: listTime}}
	if err := TryPort(net.JoinHostPort(opts.Webhook.Host, strconv.Itoa(opts.Webhook.Port)), "--webhook-port"); err != nil {
		return nil, err
	}
	scheme := clientgoscheme.Scheme
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme}) // uncached: every read is live
	if err != nil {
		return nil, cluster.Explain(fmt.Errorf("making a client: %w", err))
	}
	certificates := opts.certificates()
	if err := certificates.Validate(); err != nil {
		return nil, err
	}
	s.authority = certs.New(c, certificates, time.Now)
	s.keyring, err = live.NewKeyring(live.Options{Reader: c, Writer: c, Namespace: opts.Namespace, Random: rand.Reader, Now: time.Now})
	if err != nil {
		return nil, err
	}
	if opts.Controllers.LeaderElect {
		if s.leader, err = newLeadership(cluster.Config, opts.Namespace, s.runControllers); err != nil {
			return nil, err
		}
	}
	registry := prometheus.NewRegistry()
	s.webhook, err = webhook.New(opts.webhook(), webhook.Deps{
		Reader: c, Creator: c, Pinning: c, Keyring: s.keyring, Certificates: s.authority, Metrics: registry, Now: time.Now,
		Checks: []webhook.Check{{Name: "controllers", Check: s.caches.synced}},
	})
	if err != nil {
		return nil, err
	}
	if s.probes, err = openProbes(opts.Probes, s.webhook, prometheus.Gatherers{registry, metrics.Registry}); err != nil {
		return nil, errors.Join(err, s.webhook.Close())
	}
	return s, nil
}

// Address is where the webhook listens, as host:port.
func (s *Server) Address() string { return s.webhook.Address() }

// Run serves until ctx ends, or until something that cannot be mended fails.
func (s *Server) Run(ctx context.Context) error {
	// What follows outlives ctx: stopping has an order of its own.
	base := context.WithoutCancel(ctx)
	s.probes.serve(base)
	defer s.probes.close()
	defer func() { _ = s.webhook.Close() }() // where it was not started; otherwise it is closed

	if err := s.bootstrap(ctx); err != nil {
		return ended(ctx, err)
	}
	certificates := background(base, func(ctx context.Context) { _ = s.authority.Start(ctx) }) // it logs, and returns no error
	defer certificates.stop()
	keys := background(base, s.keyring.Follow)
	defer keys.stop()
	var failed error
	serving := background(base, func(ctx context.Context) { failed = s.webhook.Start(ctx) })
	err := s.serve(ctx, serving)
	if s.hooks.Leaving != nil {
		s.hooks.Leaving(base)
	}
	serving.stop()
	return errors.Join(err, failed)
}

// serve runs what needs the webhook until ctx ends or the webhook does.
func (s *Server) serve(ctx context.Context, serving *task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-serving.done
		cancel()
	}()
	if err := s.untilReady(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if s.hooks.Serving != nil {
		if err := s.hooks.Serving(ctx); err != nil {
			return ended(ctx, err)
		}
	}
	log.FromContext(ctx).Info("serving", "address", s.Address(), "cluster", s.cluster.Name)
	if s.leader != nil {
		s.leader.run(ctx)
		return nil
	}
	return ended(ctx, s.runControllers(ctx))
}

// bootstrap waits for what the webhook cannot serve without. The hash key comes
// first: it is not tried again, so an unreachable API server or a missing
// permission is said at once.
func (s *Server) bootstrap(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.keyring.Ensure(ctx); err != nil {
		return s.cluster.Explain(err)
	}
	return s.cluster.Explain(s.authority.Bootstrap(ctx))
}

// untilReady waits until a handshake with the own server succeeds.
func (s *Server) untilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
	if err != nil {
		return fmt.Errorf("asking for readiness: %w", err)
	}
	for {
		err := s.webhook.Readyz(request)
		if err == nil {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("waiting for the webhook to serve: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// ended drops the error of something that was told to stop.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// task is something that runs until it is stopped.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func background(ctx context.Context, work func(context.Context)) *task {
	ctx, cancel := context.WithCancel(ctx)
	t := &task{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		work(ctx)
	}()
	return t
}

// stop returns when it has ended.
func (t *task) stop() {
	t.cancel()
	<-t.done
}
