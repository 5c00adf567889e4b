package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// serving is what a Secret of cert-manager holds.
type serving struct {
	certificate *tls.Certificate
	authorities Bundle // ca.crt; issuers without a CA of their own leave it out
}

// candidate is a leaf of cert-manager's that is not served yet.
type candidate struct {
	leaf  *x509.Certificate
	since time.Time // since when every webhook verifies it; zero: not yet
}

// servingStep brings cert-manager's certificate to the server and its CA to the
// configurations.
func (a *Authority) servingStep(ctx context.Context) (stepResult, error) {
	serving, err := a.readServing(ctx)
	if err != nil {
		return stepResult{}, err
	}
	configurations, err := a.readConfigurations(ctx)
	if err != nil {
		return stepResult{}, err
	}
	now := a.now()
	wait := a.serveCandidate(ctx, serving.certificate, now)

	if len(observe(configurations)) > 0 && len(serving.authorities) == 0 {
		return stepResult{}, a.badServing(signingCertificateKey, errors.New("it is missing, so there is nothing to put into the caBundle"))
	}
	all := observe(configurations).union().union(serving.authorities...).unexpired(now)
	wrote, err := a.writeBundles(ctx, configurations, func(Bundle) Bundle { return all })
	if err != nil || wrote {
		return stepResult{again: true}, err
	}
	return stepResult{wait: a.soonest(wait), reason: "no caBundle of the webhook configurations verifies the certificate yet"}, nil
}

// serveCandidate serves the certificate when every webhook has verified it for
// the propagation time, or at once if what is served now works no more. It
// returns how long that still takes.
func (a *Authority) serveCandidate(ctx context.Context, certificate *tls.Certificate, now time.Time) time.Duration {
	current := a.leaf.Load()
	if current != nil && current.Leaf.Equal(certificate.Leaf) {
		return 0
	}
	if a.candidate.leaf == nil || !a.candidate.leaf.Equal(certificate.Leaf) {
		a.candidate = candidate{leaf: certificate.Leaf}
	}
	if !a.verified(certificate, now) {
		a.candidate.since = time.Time{}
		return 0
	}
	if a.candidate.since.IsZero() {
		a.candidate.since = now
	}
	works := current != nil && a.verified(current, now)
	if left := a.candidate.since.Add(a.opts.Propagation).Sub(now); works && left > 0 {
		return left
	}
	a.serve(ctx, certificate)
	return 0
}

// verified reports whether every webhook trusts the certificate.
func (a *Authority) verified(certificate *tls.Certificate, now time.Time) bool {
	for _, c := range a.trusting() {
		if c.verify(certificate, now) != nil {
			return false
		}
	}
	return !expired(certificate.Leaf, now)
}

func (a *Authority) serve(ctx context.Context, leaf *tls.Certificate) {
	a.leaf.Store(leaf)
	log.FromContext(ctx).V(1).Info("serving a new certificate",
		"issuer", leaf.Leaf.Issuer.String(), "until", leaf.Leaf.NotAfter.UTC().Format(time.RFC3339))
}

func (a *Authority) readServing(ctx context.Context) (serving, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: a.opts.Namespace, Name: a.opts.ServingSecret}
	if err := a.client.Get(ctx, key, secret); err != nil {
		return serving{}, fmt.Errorf("reading the serving certificate in Secret %s, which cert-manager should keep (`kubectl -n %s describe certificate`): %w",
			key, key.Namespace, err)
	}
	for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secret.Data[name]) == 0 {
			return serving{}, a.badServing(name, errors.New("it is missing"))
		}
	}
	certificate, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return serving{}, a.badServing(corev1.TLSCertKey+" or "+corev1.TLSPrivateKeyKey, err)
	}
	for _, host := range a.opts.hosts() {
		if err := certificate.Leaf.VerifyHostname(host); err != nil {
			return serving{}, a.badServing(corev1.TLSCertKey, fmt.Errorf("the Certificate must name it: %w", err))
		}
	}
	out := serving{certificate: &certificate}
	if data := secret.Data[signingCertificateKey]; len(data) > 0 {
		if out.authorities, err = parseBundle(data); err != nil {
			return serving{}, a.badServing(signingCertificateKey, err)
		}
	}
	return out, nil
}

func (o Options) hosts() []string {
	hosts := append([]string{}, o.DNSNames...)
	for _, ip := range o.IPs {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func (a *Authority) badServing(key string, err error) error {
	return fmt.Errorf("reading the serving certificate in Secret %s/%s: key %s: %w; `kubectl -n %s delete secret %s` makes cert-manager issue it again",
		a.opts.Namespace, a.opts.ServingSecret, key, err, a.opts.Namespace, a.opts.ServingSecret)
}

// chainOf are the certificates that are sent after the leaf. One that does not
// parse is left out, as a client would.
func chainOf(certificate *tls.Certificate) Bundle {
	var chain Bundle
	for _, raw := range certificate.Certificate[1:] {
		if c, err := x509.ParseCertificate(raw); err == nil {
			chain = append(chain, c)
		}
	}
	return chain
}
