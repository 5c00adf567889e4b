package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
)

func tlsConfig(opts Options, certificates Certificates) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: certificates.GetCertificate,
	}
	if opts.ClientCA == "" {
		return config, nil
	}
	raw, err := os.ReadFile(opts.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading the client CA: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("reading the client CA: %s holds no certificate in PEM", opts.ClientCA)
	}
	// Whoever has none is refused in HTTP, with a reason; so readiness can still look.
	config.ClientAuth = tls.VerifyClientCertIfGiven
	return config, nil
}

func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("serving webhooks on %s: the port is in use: stop what listens there or choose another port: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("serving webhooks on %s: the port is not permitted: choose one above 1023: %w", address, err)
	case err != nil:
		return nil, fmt.Errorf("serving webhooks on %s: %w", address, err)
	}
	return listener, nil
}

// connectionLog takes what net/http says about connections that come to nothing.
type connectionLog struct{ logr.Logger }

func (l connectionLog) Write(line []byte) (int, error) {
	l.V(1).Info("a connection to the webhook server failed", "cause", strings.TrimSpace(string(line)))
	return len(line), nil
}
