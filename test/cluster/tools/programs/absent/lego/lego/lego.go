// Package lego has no client.
package lego

import (
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/challenge"
	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/go-acme/lego/v4/challenge/http01"
	"github.com/go-acme/lego/v4/challenge/tlsalpn01"
	"github.com/go-acme/lego/v4/registration"
)

// LEDirectoryProduction is where nothing is asked.
const LEDirectoryProduction = "https://example.invalid/directory"

// Config is that of a client.
type Config struct {
	CADirURL, UserAgent string
	HTTPClient          *http.Client
	Certificate         struct {
		KeyType           certcrypto.KeyType
		DisableCommonName bool
		Timeout           time.Duration
	}
}

// NewConfig returns an empty one.
func NewConfig(registration.User) *Config { return &Config{} }

// Client would ask for certificates.
type Client struct {
	Certificate  *certificate.Certifier
	Challenge    *Challenges
	Registration *registration.Registrar
}

// NewClient always fails.
func NewClient(*Config) (*Client, error) { return nil, errors.ErrUnsupported }

// CreateCertPool always fails.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, errors.ErrUnsupported }

// Challenges would be what proves that a domain is one's own.
type Challenges struct{}

// SetDNS01Provider always fails.
func (*Challenges) SetDNS01Provider(challenge.Provider, ...dns01.ChallengeOption) error {
	return errors.ErrUnsupported
}

// SetHTTP01Provider always fails.
func (*Challenges) SetHTTP01Provider(challenge.Provider, ...http01.ChallengeOption) error {
	return errors.ErrUnsupported
}

// SetTLSALPN01Provider always fails.
func (*Challenges) SetTLSALPN01Provider(challenge.Provider, ...tlsalpn01.ChallengeOption) error {
	return errors.ErrUnsupported
}
