package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"sluice.dev/sluice/hashing/live"
)

// Paths of the webhooks, as the shipped webhook configurations have them.
const (
	MutatePath         = "/mutate"
	ValidatePath       = "/validate"
	ValidateScalePath  = "/validate-scale"
	ValidateOwnersPath = "/validate-owners"
	WarnConfigPath     = "/warn-config"
	MutateRoutesPath   = "/mutate-routes"
)

// Certificates keep the serving certificate; *certs.Authority is one.
type Certificates interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Ready returns nil while the certificate is valid and trusted by the webhook configurations.
	Ready() error
}

// Check is a condition of readiness.
type Check struct {
	Name  string
	Check func(ctx context.Context) error
}

// Deps are what the server works with. All but Checks are needed.
type Deps struct {
	// Reader reads live: a cache would give old content, and every Secret of the cluster would be in it.
	Reader client.Reader
	// Creator creates SubjectAccessReviews and Events.
	Creator Creator
	// Pinning makes snapshots of config, uncached.
	Pinning      live.PinClient
	Keyring      Keyring
	Certificates Certificates
	Metrics      prometheus.Registerer
	Now          func() time.Time
	// Checks that readiness waits for beside the server's own, such as synced caches.
	Checks []Check
}

func (d Deps) validate() error {
	var faults []error
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"Reader", d.Reader == nil}, {"Creator", d.Creator == nil}, {"Pinning", d.Pinning == nil}, {"Keyring", d.Keyring == nil},
		{"Certificates", d.Certificates == nil}, {"Metrics", d.Metrics == nil}, {"Now", d.Now == nil},
	} {
		if dep.missing {
			faults = append(faults, fmt.Errorf("webhook: %s is not set", dep.name))
		}
	}
	return errors.Join(faults...)
}

// Server is the admission server. Paths and their metrics are controller-runtime's; serving is not,
// since that ends the handshakes that are under way when it has to stop. A manager runs it in every
// replica, whoever leads.
type Server struct {
	webhook.Server
	opts     Options
	deps     Deps
	metrics  *metrics
	limits   limits
	listener net.Listener
	tls      *tls.Config

	serving  atomic.Bool // Start has begun
	draining atomic.Bool // on the way out, still serving
	keyed    atomic.Bool // the hash keys are loaded
}

const (
	headerTimeout = 10 * time.Second // for the handshake and for the headers
	// idleTimeout is longer than the API server keeps a connection (90 s): the client is the one that closes,
	// since a request may meet a server that does.
	idleTimeout = 2 * time.Minute
	maxHeader   = 64 << 10
	// stopTimeout is longer than any request that the shipped configurations make.
	stopTimeout = 15 * time.Second
)

// New makes a server and opens its port. Every fault of its options is said at once.
func New(opts Options, deps Deps) (*Server, error) {
	if err := errors.Join(opts.Validate(), deps.validate()); err != nil {
		return nil, err
	}
	s := &Server{
		Server: webhook.NewServer(webhook.Options{}), opts: opts, deps: deps,
		limits: limits{requests: opts.MaxRequests, bytes: opts.MaxBytes},
	}
	var err error
	if s.tls, err = tlsConfig(opts, deps.Certificates); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("registering metrics of the webhook: %w", err)
	}
	if s.listener, err = listen(net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port))); err != nil {
		return nil, err
	}
	s.register()
	return s, nil
}

func (s *Server) register() {
	observer := observer{reader: s.deps.Reader, permissions: newPermissions(s.deps.Creator), keyring: s.deps.Keyring, pinning: newPinning(s.deps.Pinning, s.deps.Now)}
	workloads := &workloads{observer: observer, sluice: s.opts.User}
	owners := &owners{
		observer: observer, operator: s.opts.Ownership, sluice: s.opts.User, metrics: s.metrics,
		recorder: &recorder{creator: s.deps.Creator, now: s.deps.Now},
	}
	scales := &scales{reader: s.deps.Reader, owners: owners}
	configs := newConfigs(observer)
	routes := &routes{sluice: s.opts.User}
	for path, handle := range map[string]handler{
		MutatePath: workloads.mutate, ValidatePath: workloads.validate, ValidateScalePath: scales.validate,
		ValidateOwnersPath: owners.validate, WarnConfigPath: configs.validate,
		MutateRoutesPath: routes.mutate,
	} {
		s.Register(path, &endpoint{name: path[1:], handle: handle, server: s})
	}
}

// Address is where the server listens, as host:port.
func (s *Server) Address() string {
	_, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		port = strconv.Itoa(s.opts.Port) // a listener of another network than TCP has none
	}
	return net.JoinHostPort(s.opts.Host, port)
}

// Close gives up the port of a server that is not going to be started.
func (s *Server) Close() error { return s.listener.Close() }

// Start serves until ctx ends and then as the package documentation says. It returns when the last
// request is answered, or 15 s after the listener closed.
func (s *Server) Start(ctx context.Context) error {
	base := context.WithoutCancel(ctx) // what has begun is finished
	var open connections
	server := &http.Server{
		Handler: s.WebhookMux(), TLSConfig: s.tls, ConnState: open.track,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    stdlog.New(connectionLog{log.FromContext(ctx)}, "", 0),
	}
	go s.loadKeys(ctx)
	ended := make(chan error, 1) // room for the one that nobody waits for
	go func() { ended <- server.ServeTLS(s.listener, "", "") }()
	s.serving.Store(true)
	select {
	case err := <-ended:
		return fmt.Errorf("serving webhooks on %s: %w", s.Address(), err)
	case <-ctx.Done():
		s.drain(base)
	}
	_ = s.listener.Close() // ends ServeTLS with an error that says so, and no connection
	// Had ServeTLS not let go of the listener, Shutdown would close it a second time, and fail.
	log.FromContext(ctx).V(1).Info("no new connections", "reason", (<-ended).Error())
	limited, cancel := context.WithTimeout(base, stopTimeout)
	defer cancel()
	// Shutdown drops requests that it meets half read, so it comes when there are none any more.
	select {
	case <-open.settled():
	case <-limited.Done():
	}
	if err := server.Shutdown(limited); err != nil {
		return fmt.Errorf("stopping the webhook server: %w", errors.Join(err, server.Close()))
	}
	return nil
}

// drain waits until endpoints and load balancers have let go of this replica.
func (s *Server) drain(ctx context.Context) {
	s.draining.Store(true)
	log.FromContext(ctx).V(1).Info("draining the webhook server", "delay", s.opts.ShutdownDelay.String())
	<-time.After(s.opts.ShutdownDelay)
}

// StartedChecker is nil for as long as the server answers.
func (s *Server) StartedChecker() healthz.Checker {
	return func(r *http.Request) error { return s.answers(r.Context()) }
}

// loadKeys makes sure that the hash keys are there, and tries again until they are.
func (s *Server) loadKeys(ctx context.Context) {
	const firstRetry, longestRetry = time.Second, 30 * time.Second
	for retry := firstRetry; ; retry = min(2*retry, longestRetry) {
		err := s.deps.Keyring.Ensure(ctx)
		if err == nil {
			s.keyed.Store(true)
			return
		}
		if ctx.Err() != nil {
			return
		}
		log.FromContext(ctx).Error(err, "loading the hash keys failed")
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
}
