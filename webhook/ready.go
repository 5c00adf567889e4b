package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// dialTimeout bounds the look at our own server.
const dialTimeout = 3 * time.Second

// Healthz is nil while the process works: what it waits for, another process can't mend.
func (s *Server) Healthz(*http.Request) error { return nil }

// Readyz is nil when the API server may send reviews here: the server answers TLS with a certificate
// that the webhook configurations trust, the hash keys are loaded, every check is fine, and the server
// is not on its way out. It says everything that is missing.
func (s *Server) Readyz(r *http.Request) error {
	if s.draining.Load() {
		return errors.New("the webhook server is shutting down")
	}
	faults := []error{s.deps.Certificates.Ready(), s.answers(r.Context())}
	if !s.keyed.Load() {
		faults = append(faults, errors.New("the hash keys are not loaded yet"))
	}
	for _, check := range s.deps.Checks {
		if err := check.Check(r.Context()); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", check.Name, err))
		}
	}
	return errors.Join(faults...)
}

// answers makes a handshake with our own server and checks that it presents the certificate that
// Certificates vouch for.
func (s *Server) answers(ctx context.Context) error {
	if !s.serving.Load() {
		return errors.New("the webhook server has not started yet")
	}
	host, port, err := net.SplitHostPort(s.Address())
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("the webhook server does not answer: %w", err)
	}
	defer socket.Close()
	// What is presented is compared below; whether it is trusted is for Certificates.Ready to say.
	conn := tls.Client(socket, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("the webhook server does not answer: %w", err)
	}
	presented := conn.ConnectionState().PeerCertificates
	current, err := s.deps.Certificates.GetCertificate(nil)
	if err != nil {
		return err
	}
	if len(current.Certificate) == 0 || !bytes.Equal(presented[0].Raw, current.Certificate[0]) {
		return errors.New("the webhook server presents another certificate than the current one")
	}
	return nil
}
