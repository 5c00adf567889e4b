package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bundle is a set of CA certificates, as a caBundle holds them.
type Bundle []*x509.Certificate

// Observed is what the webhook configurations trust: the Bundle of every webhook
// whose caBundle sluice writes. It is empty when there is no configuration.
type Observed []Bundle

const certificateBlock = "CERTIFICATE"

// readBundle takes what can be read: charts ship a newline or a comment as the
// caBundle to be filled in, which trusts nobody and must stop nobody.
func readBundle(data []byte) Bundle {
	var bundle Bundle
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certificateBlock {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			bundle = bundle.union(certificate)
		}
	}
	return bundle
}

// parseBundle refuses what readBundle would skip.
func parseBundle(data []byte) (Bundle, error) {
	var bundle Bundle
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != certificateBlock {
			return nil, fmt.Errorf("it holds a PEM block %q where a certificate is expected", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("it holds no valid certificate: %w", err)
		}
		bundle = append(bundle, certificate)
	}
	if len(bytes.TrimSpace(data)) > 0 || len(bundle) == 0 {
		return nil, errors.New("it is not a PEM certificate")
	}
	return bundle, nil
}

// PEM is the Bundle as a caBundle holds it.
func (b Bundle) PEM() []byte {
	var out bytes.Buffer
	for _, certificate := range b {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate.Raw}))
	}
	return out.Bytes()
}

func (b Bundle) contains(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(b, certificate.Equal)
}

// union appends those that are not there yet.
func (b Bundle) union(others ...*x509.Certificate) Bundle {
	out := slices.Clone(b)
	for _, other := range others {
		if !out.contains(other) {
			out = append(out, other)
		}
	}
	return out
}

func (b Bundle) without(others Bundle) Bundle {
	return slices.DeleteFunc(slices.Clone(b), others.contains)
}

// unexpired leaves out those that verify nothing any more.
func (b Bundle) unexpired(now time.Time) Bundle {
	return slices.DeleteFunc(slices.Clone(b), func(c *x509.Certificate) bool { return expired(c, now) })
}

// equal compares as sets: the order of a caBundle means nothing.
func (b Bundle) equal(other Bundle) bool {
	return len(b.without(other)) == 0 && len(other.without(b)) == 0
}

// verify is what the API server does with a caBundle and the chain it is shown.
func (b Bundle) verify(leaf *x509.Certificate, chain Bundle, now time.Time) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, certificate := range b {
		roots.AddCert(certificate)
	}
	for _, certificate := range chain {
		intermediates.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// everywhere reports whether every webhook trusts the CA.
func (o Observed) everywhere(certificate *x509.Certificate) bool {
	return !slices.ContainsFunc(o, func(b Bundle) bool { return !b.contains(certificate) })
}

// union is every CA that some webhook trusts.
func (o Observed) union() Bundle {
	var all Bundle
	for _, bundle := range o {
		all = all.union(bundle...)
	}
	return all
}
