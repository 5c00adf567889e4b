package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/manifests"
)

// bundles returns what each webhook trusts, by configuration and name.
func bundles(t *testing.T) map[string][]byte {
	t.Helper()
	api := env.Client(t, "admin").AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().Get(t.Context(), manifests.Name, metav1.GetOptions{})
	require.NoError(t, err)
	validating, err := api.ValidatingWebhookConfigurations().Get(t.Context(), manifests.Name, metav1.GetOptions{})
	require.NoError(t, err)
	trusted := map[string][]byte{}
	add := func(name string, c admissionv1.WebhookClientConfig) { trusted[name] = c.CABundle }
	for _, w := range mutating.Webhooks {
		add("mutating "+w.Name, w.ClientConfig)
	}
	for _, w := range validating.Webhooks {
		add("validating "+w.Name, w.ClientConfig)
	}
	return trusted
}

// serveTrustedLeaves: every replica shows a certificate of its own, which every webhook configuration
// trusts for the balancer's address and for the Service's name.
func (i *installation) serveTrustedLeaves(t *testing.T) {
	trusted := bundles(t)
	require.NotEmpty(t, trusted)
	var seen [][]byte
	for _, r := range i.replicas {
		leaf := leafOf(t, r)
		for _, other := range seen {
			require.False(t, bytes.Equal(other, leaf.Raw), "two replicas have the same certificate")
		}
		seen = append(seen, leaf.Raw)
		for webhook, bundle := range trusted {
			roots := x509.NewCertPool()
			require.True(t, roots.AppendCertsFromPEM(bundle), "%s has no caBundle", webhook)
			for _, name := range []string{host, manifests.Name + "." + manifests.Namespace + ".svc"} {
				_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
				require.NoError(t, err, webhook)
			}
		}
	}
}

// leafOf returns what a replica shows; it is verified by whoever asks.
func leafOf(t *testing.T, r *replica) *x509.Certificate {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", r.webhook)
	require.NoError(t, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}
