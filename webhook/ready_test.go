package webhook

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/hashing"
)

// stubKeyring has no keys while it fails.
type stubKeyring struct{ err error }

func (k *stubKeyring) Ensure(context.Context) error { return k.err }

func (k *stubKeyring) Digest(context.Context, string, string, []hashing.Reference, []hashing.Object) (string, error) {
	return "", k.err
}

func TestReadyOnlyWhileReviewsCanBeAnswered(t *testing.T) {
	r := httptest.NewRequest("GET", "/readyz", nil)
	certificates := testCertificates(t)
	var cache error
	s := cluster{deps: func(d *Deps) {
		d.Certificates = certificates
		d.Checks = []Check{{Name: "cache of deployments", Check: func(context.Context) error { return cache }}}
	}}.server(t)
	require.ErrorContains(t, s.Readyz(r), "the webhook server has not started yet")
	require.ErrorContains(t, s.Readyz(r), "the hash keys are not loaded yet")
	require.NoError(t, s.Healthz(r))

	startServer(t, s)
	cache = errors.New("not synced")
	require.EqualError(t, s.Readyz(r), "cache of deployments: not synced")
	cache = nil

	served := certificates.certificate
	certificates.err = errors.New("the certificate has expired")
	require.ErrorContains(t, s.Readyz(r), "the certificate has expired")
	certificates.err = nil
	require.NoError(t, s.Readyz(r))

	_, other := issue(t)
	s.deps.Certificates = &heldCertificates{certificate: other}
	require.ErrorContains(t, s.Readyz(r), "the webhook server presents another certificate than the current one")
	s.deps.Certificates = &heldCertificates{certificate: served}
	require.NoError(t, s.Readyz(r))
}

func TestNotReadyWithoutHashKeys(t *testing.T) {
	s := cluster{deps: func(d *Deps) { d.Keyring = &stubKeyring{errors.New("forbidden")} }}.server(t)
	runServer(t, s.Start)
	r := httptest.NewRequest("GET", "/readyz", nil)
	require.Eventually(t, func() bool { return s.Readyz(r).Error() == "the hash keys are not loaded yet" }, 10*time.Second, 5*time.Millisecond)
}

func TestAPortInUseIsSaidWithTheWayOut(t *testing.T) {
	s := cluster{}.server(t)
	_, port, err := net.SplitHostPort(s.Address())
	require.NoError(t, err)
	opts, deps := s.opts, s.deps
	opts.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	deps.Metrics = prometheus.NewRegistry()
	_, err = New(opts, deps)
	require.ErrorContains(t, err, "serving webhooks on "+s.Address()+": the port is in use: stop what listens there or choose another port")
}

func TestAClientCAThatCannotBeReadIsSaid(t *testing.T) {
	opts := DefaultOptions()
	deps := cluster{}.server(t).deps
	opts.ClientCA = "testdata/missing.pem"
	_, err := New(opts, deps)
	require.ErrorContains(t, err, "reading the client CA: open testdata/missing.pem: no such file or directory")
	opts.ClientCA = "options.go"
	_, err = New(opts, deps)
	require.EqualError(t, err, "reading the client CA: options.go holds no certificate in PEM")
}
