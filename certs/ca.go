package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"time"
)

// CA signs leaves.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// backdated makes certificates valid on clocks that are behind; an earlier
// beginning costs nothing.
const backdated = time.Hour

// NewCA makes a CA (ECDSA P-256) that is valid until CAValidity after now.
func NewCA(now time.Time, timing Timing) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the key of a CA: %w", err)
	}
	certificate, err := sign(&x509.Certificate{
		// The date is for whoever reads a caBundle; CAs are told apart by their key ids.
		Subject:               pkix.Name{CommonName: "sluice webhook CA " + now.UTC().Format("2006-01-02")},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(timing.CAValidity),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}, nil, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing a CA: %w", err)
	}
	return &CA{Certificate: certificate, Key: key}, nil
}

// Issue makes a serving certificate (ECDSA P-256, subject alternative names
// only) that expires LeafValidity after readAt, and not after its CA. readAt is
// a moment before the Secret that holds the CA was read.
func (ca *CA) Issue(dnsNames []string, ips []net.IP, readAt time.Time, timing Timing) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating the key of a serving certificate: %w", err)
	}
	leaf, err := sign(&x509.Certificate{
		DNSNames:              dnsNames,
		IPAddresses:           ips,
		NotBefore:             later(readAt.Add(-backdated), ca.Certificate.NotBefore),
		NotAfter:              earlier(readAt.Add(timing.LeafValidity), ca.Certificate.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, ca.Certificate, key.Public(), ca.Key)
	if err != nil {
		return nil, fmt.Errorf("signing a serving certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// signed reports whether the CA signed the leaf.
func (ca *CA) signed(leaf *x509.Certificate) bool {
	return leaf.CheckSignatureFrom(ca.Certificate) == nil
}

// sign makes a certificate; without a parent it signs itself.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

// renewAt is when a certificate is to be replaced: at 2/3 of its life, which
// began when it was made.
func renewAt(certificate *x509.Certificate) time.Time {
	made := certificate.NotBefore.Add(backdated)
	return made.Add(certificate.NotAfter.Sub(made) / 3 * 2)
}

func expired(certificate *x509.Certificate, now time.Time) bool {
	return now.After(certificate.NotAfter)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
