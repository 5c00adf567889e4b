package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// Paths of the webhooks, as the shipped webhook configurations have them.
const (
	MutatePath        = "/mutate"
	ValidatePath      = "/validate"
	ValidateScalePath = "/validate-scale"
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
	// Creator creates SubjectAccessReviews.
	Creator      Creator
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
		{"Reader", d.Reader == nil}, {"Creator", d.Creator == nil}, {"Keyring", d.Keyring == nil},
		{"Certificates", d.Certificates == nil}, {"Metrics", d.Metrics == nil}, {"Now", d.Now == nil},
	} {
		if dep.missing {
			faults = append(faults, fmt.Errorf("webhook: %s is not set", dep.name))
		}
	}
	return errors.Join(faults...)
}

// Server is the admission server: controller-runtime's, with limits, readiness and a shutdown that
// loses no request. A manager runs it in every replica, whoever leads, and stops it last.
type Server struct {
	webhook.Server
	opts    Options
	deps    Deps
	metrics *metrics
	limits  limits

	serving  atomic.Bool // Start has begun
	draining atomic.Bool // on the way out, still serving
	stopping atomic.Bool // the listener closes
	keyed    atomic.Bool // the hash keys are loaded
}

// New makes a server, with every fault of its options at once.
func New(opts Options, deps Deps) (*Server, error) {
	if err := errors.Join(opts.Validate(), deps.validate()); err != nil {
		return nil, err
	}
	clientCAs, err := loadClientCA(opts.ClientCA)
	if err != nil {
		return nil, err
	}
	if opts.Port == 0 {
		if opts.Port, err = freePort(opts.Host); err != nil {
			return nil, err
		}
	}
	s := &Server{opts: opts, deps: deps, limits: limits{requests: opts.MaxRequests, bytes: opts.MaxBytes}}
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, fmt.Errorf("registering metrics of the webhook: %w", err)
	}
	s.Server = webhook.NewServer(webhook.Options{
		Host: opts.Host, Port: opts.Port,
		TLSOpts: []func(*tls.Config){func(config *tls.Config) {
			config.MinVersion = tls.VersionTLS12
			config.NextProtos = []string{"h2", "http/1.1"}
			config.GetCertificate = deps.Certificates.GetCertificate
			if clientCAs != nil {
				// Whoever has none is refused in HTTP, with a reason; so readiness can still look.
				config.ClientCAs, config.ClientAuth = clientCAs, tls.VerifyClientCertIfGiven
			}
		}},
	})
	s.register()
	return s, nil
}

func (s *Server) register() {
	workloads := &workloads{
		observer: observer{reader: s.deps.Reader, creator: s.deps.Creator, keyring: s.deps.Keyring},
		sluice:   s.opts.User,
	}
	scales := &scales{reader: s.deps.Reader}
	for path, handle := range map[string]handler{
		MutatePath: workloads.mutate, ValidatePath: workloads.validate, ValidateScalePath: scales.validate,
	} {
		s.Register(path, &endpoint{name: path[1:], handle: handle, server: s})
	}
}

// Address is where the server listens, as host:port.
func (s *Server) Address() string {
	return net.JoinHostPort(s.opts.Host, strconv.Itoa(s.opts.Port))
}

// Start serves until ctx ends and then as package documentation says. It returns when the last request
// is answered.
func (s *Server) Start(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go s.loadKeys(ctx)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
			s.drain(ctx, done)
			stop()
		case <-done:
		}
	}()
	s.serving.Store(true)
	err := s.Server.Start(inner)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("serving webhooks on %s: the port is in use: stop what listens there or choose another port: %w", s.Address(), err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("serving webhooks on %s: the port is not permitted: choose one above 1023: %w", s.Address(), err)
	case err != nil:
		return fmt.Errorf("serving webhooks on %s: %w", s.Address(), err)
	}
	return nil
}

// drain waits until endpoints and load balancers have let go of this replica.
func (s *Server) drain(ctx context.Context, done <-chan struct{}) {
	s.draining.Store(true)
	log.FromContext(ctx).V(1).Info("draining the webhook server", "delay", s.opts.ShutdownDelay.String())
	delay := time.NewTimer(s.opts.ShutdownDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-done:
	}
	s.stopping.Store(true)
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

func loadClientCA(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("reading the client CA: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// freePort returns a port that nobody listens on. Somebody else may take it before Start does, which
// then says so.
func freePort(host string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	return strconv.Atoi(port)
}
