package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load is clients that shake hands anew all the time, each time trusting exactly
// what a webhook configuration holds at that moment, as the API server does.
type load struct {
	t       *testing.T
	cluster *cluster
	servers []string

	mu        sync.Mutex
	finished  *sync.Cond
	rounds    []int // finished handshakes per client
	failures  []error
	issuers   map[string]bool
	leaves    map[string]bool
	trust     atomic.Pointer[Observed]
	stop      atomic.Bool
	handshook atomic.Int64
}

func newLoad(t *testing.T, c *cluster, replicas []*Authority, clients int) *load {
	l := &load{t: t, cluster: c, rounds: make([]int, clients), issuers: map[string]bool{}, leaves: map[string]bool{}}
	l.finished = sync.NewCond(&l.mu)
	for _, a := range replicas {
		l.servers = append(l.servers, listen(t, a))
	}
	return l
}

// listen serves TLS with nothing behind it.
func listen(t *testing.T, a *Authority) string {
	config := &tls.Config{Time: a.now}
	a.ConfigureTLS(config)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = conn.(*tls.Conn).Handshake()
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func (l *load) client(number int) {
	for i := number; !l.stop.Load(); i++ {
		hooks := *l.trust.Load()
		leaf, err := l.handshake(l.servers[i%len(l.servers)], hooks[i/len(l.servers)%len(hooks)])
		l.mu.Lock()
		l.rounds[number]++
		if err != nil {
			l.failures = append(l.failures, err)
		} else {
			l.issuers[string(leaf.AuthorityKeyId)] = true
			l.leaves[leaf.SerialNumber.String()] = true
		}
		l.finished.Broadcast()
		l.mu.Unlock()
	}
}

func (l *load) handshake(server string, bundle Bundle) (*x509.Certificate, error) {
	l.handshook.Add(1)
	roots := x509.NewCertPool()
	for _, ca := range bundle {
		roots.AddCert(ca)
	}
	raw, err := net.Dial("tcp", server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = raw.Close() }()
	conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: "sluice.sluice-system.svc", Time: l.cluster.clock.now})
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

// proceed waits until every client has finished n more handshakes.
func (l *load) proceed(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := append([]int{}, l.rounds...)
	for i := range l.rounds {
		for l.rounds[i] < before[i]+n {
			l.finished.Wait()
		}
	}
}

func (l *load) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.failures) > 0
}

func (l *load) trustFromNow(hooks Observed) { l.trust.Store(&hooks) }

// drive advances the clock through the time while both replicas work at once.
// What clients trust lags behind the configurations by a step, within the
// propagation time.
func (l *load) drive(replicas []*Authority, length, step time.Duration) {
	before := l.cluster.bundles(l.t)
	l.trustFromNow(before)
	var clients, rounds sync.WaitGroup
	for number := range l.rounds {
		clients.Go(func() { l.client(number) })
	}
	for range int(length / step) {
		if l.failed() {
			break
		}
		l.cluster.clock.advance(step)
		for _, a := range replicas {
			rounds.Go(func() {
				_, err := a.round(l.t.Context())
				require.NoError(l.t, err)
			})
		}
		l.proceed(6)
		rounds.Wait()
		l.proceed(6)
		l.trustFromNow(before)
		before = l.cluster.bundles(l.t)
	}
	l.stop.Store(true)
	clients.Wait()
}

// rotateUnderLoad takes two replicas through the 4 days of a CA and the 32 hours
// of its rotation, six days in all, the first of them without load.
func rotateUnderLoad(t *testing.T, plan planner, idle time.Duration) *load {
	opts := options()
	opts.Timing = Timing{
		CAValidity: 6 * day, LeafValidity: day, Overlap: 25 * time.Hour,
		Propagation: 6 * time.Hour, Interval: 2 * time.Hour, Skew: 10 * time.Minute,
	}
	require.NoError(t, opts.Validate())
	c := newCluster(mutating(nil), validating(nil))
	replicas := []*Authority{c.replica(opts), c.replica(opts)}
	for _, a := range replicas {
		a.plan = plan
		round(t, a)
	}
	for range int(idle / (2 * time.Hour)) {
		c.clock.advance(2 * time.Hour)
		for _, a := range replicas {
			round(t, a)
		}
	}
	l := newLoad(t, c, replicas, 4)
	l.drive(replicas, 6*day-idle, 2*time.Hour)
	return l
}

func TestRotationUnderLoad(t *testing.T) {
	l := rotateUnderLoad(t, Plan, 0)
	t.Logf("%d handshakes, %d leaves, %d CAs", l.handshook.Load(), len(l.leaves), len(l.issuers))
	require.Empty(t, l.failures)
	require.Greater(t, l.handshook.Load(), int64(3000))
	require.Greater(t, len(l.leaves), 10)
	require.Len(t, l.issuers, 2)
	require.Empty(t, l.cluster.stored(t).Retired)
	stored := l.cluster.stored(t).Signing.Certificate
	require.Equal(t, Observed{{stored}, {stored}}, l.cluster.bundles(t))
}

// What cert-controller does: the new CA alone, at once.
func TestRotationUnderLoadNoticesASoleCA(t *testing.T) {
	l := rotateUnderLoad(t, func(s Stored, o Observed, now time.Time, timing Timing) Step {
		timing.Propagation, timing.Overlap = -timing.Skew, 0
		return Plan(s, o, now, timing)
	}, 90*time.Hour)
	require.NotEmpty(t, l.failures)
}

func TestOldTLSIsRefused(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(options())
	round(t, a)
	server := listen(t, a)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		roots := x509.NewCertPool()
		roots.AddCert(c.bundles(t)[0][0])
		conn, err := tls.Dial("tcp", server, &tls.Config{
			RootCAs: roots, ServerName: "sluice.sluice-system.svc", Time: c.clock.now,
			MinVersion: tls.VersionTLS10, MaxVersion: version,
		})
		require.Equal(t, want, err == nil, tls.VersionName(version))
		if err == nil {
			require.NoError(t, conn.Close())
		}
	}
}
