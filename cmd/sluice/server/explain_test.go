package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

func TestExplain(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://api:6443/api/v1/namespaces/sluice-system", Err: &net.OpError{
		Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 6443}, Err: syscall.ECONNREFUSED}}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "sluice-ca", errors.New("no"))
	other := errors.New("the disk is full")
	tests := map[string]struct {
		cluster Cluster
		err     error
		want    string
	}{
		"nothing stays nothing": {},
		"refused": {err: fmt.Errorf("reading Secret: %w", refused),
			want: "the API server api:6443 (shop) cannot be reached: dial tcp 10.0.0.1:6443: connection refused; is the cluster up, and is this the one you mean?"},
		"no such host": {err: &url.Error{Op: "Get", URL: "x", Err: &net.DNSError{Err: "no such host", Name: "api"}},
			want: "cannot be reached"},
		"timed out": {err: &url.Error{Op: "Get", URL: "x", Err: context.DeadlineExceeded},
			want: "cannot be reached"},
		"a Secret that is no certificate, until there was no time left": {
			err:  errors.Join(errors.New("ca.crt of Secret sluice-ca is not a PEM certificate"), context.DeadlineExceeded),
			want: "ca.crt of Secret sluice-ca is not a PEM certificate\ncontext deadline exceeded"},
		"a certificate of somebody else": {err: &url.Error{Op: "Get", URL: "x", Err: x509.UnknownAuthorityError{}},
			want: "shows a certificate that the kubeconfig's certificate authority did not sign"},
		"expired credentials": {err: fmt.Errorf("reading Secret: %w", apierrors.NewUnauthorized("Unauthorized")),
			want: "does not accept the credentials: reading Secret: Unauthorized; have they expired?"},
		"a missing permission": {err: fmt.Errorf("reading Secret: %w", forbidden),
			want: `reading Secret: secrets "sluice-ca" is forbidden: no; sluice needs the permissions of manifests/rbac.yaml: kubectl apply -f manifests/install.yaml`},
		"a person's missing permission": {cluster: Cluster{Remedy: "ask an admin"}, err: forbidden,
			want: `secrets "sluice-ca" is forbidden: no; ask an admin`},
		"what nobody can put right here": {err: other, want: "the disk is full"},
		"being told to stop":             {err: context.Canceled, want: "context canceled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.cluster.Name = "shop"
			tt.cluster.Config = &rest.Config{Host: "api:6443"}

			got := tt.cluster.Explain(tt.err)

			if tt.err == nil {
				require.NoError(t, got)
				return
			}
			require.ErrorContains(t, got, tt.want)
			require.Equal(t, strings.Contains(tt.want, "cannot be reached"), strings.Contains(got.Error(), "cannot be reached"))
		})
	}
}
