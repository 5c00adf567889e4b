package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Explain turns what a person can put right into one sentence that names the
// thing and the way out; anything else stays as it is.
func (c Cluster) Explain(err error) error {
	var (
		dns       *net.DNSError
		untrusted x509.UnknownAuthorityError
		call      *url.Error
	)
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.As(err, &dns), errors.As(err, &call) && call.Timeout():
		return fmt.Errorf("the API server %s (%s) cannot be reached: %w; is the cluster up, and is this the one you mean?",
			c.Config.Host, c.Name, cause(err))
	case errors.As(err, &untrusted):
		return fmt.Errorf("the API server %s (%s) shows a certificate that the kubeconfig's certificate authority did not sign: %w",
			c.Config.Host, c.Name, cause(err))
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server %s (%s) does not accept the credentials: %w; have they expired?", c.Config.Host, c.Name, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; %s", err, c.remedy())
	}
	return err
}

func (c Cluster) remedy() string {
	if c.Remedy != "" {
		return c.Remedy
	}
	return "sluice needs the permissions of manifests/rbac.yaml: kubectl apply -f manifests/install.yaml"
}

// cause is the innermost network error: the URL and verb around it say nothing
// that the sentence does not.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// TryPort tells whether a port can be listened on, before anything is changed.
func TryPort(address, flag string) error {
	listener, err := listen(address, flag)
	if err != nil {
		return err
	}
	return listener.Close()
}

// listen opens a port; the error names the flag that chooses another.
func listen(address, flag string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s is in use by another process: stop that, or choose another with %s", flag, address, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s may not be opened by this user: choose a port above 1023 with %s", flag, address, flag)
	case err != nil:
		return nil, fmt.Errorf("%s %s cannot be listened on: %w", flag, address, err)
	}
	return listener, nil
}
