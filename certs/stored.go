package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Stored is what the Secret of the CA says.
type Stored struct {
	Signing      *CA       // signs leaves; nil: none does yet
	Next         *CA       // trusted, and signs once it was announced long enough
	Announced    time.Time // since when Next was seen in every configuration; zero: it was not
	Retired      Bundle    // trusted still, signs nothing any more
	RetiredSince time.Time // when the last of Retired stopped signing
}

// Keys of the Secret; doc.go says what each means.
const (
	signingCertificateKey = "ca.crt"
	signingKeyKey         = "ca.key"
	nextCertificateKey    = "next.crt"
	nextKeyKey            = "next.key"
	announcedKey          = "next-announced"
	retiredKey            = "retired.crt"
	retiredSinceKey       = "retired-since"
)

// all is every CA that is stored, trusted or not.
func (s Stored) all() Bundle {
	return Bundle{}.union(s.certificates()...).union(s.Retired...)
}

// certificates are those of Signing and Next.
func (s Stored) certificates() Bundle {
	var out Bundle
	for _, ca := range []*CA{s.Signing, s.Next} {
		if ca != nil {
			out = append(out, ca.Certificate)
		}
	}
	return out
}

// alive is Stored without what has expired.
func (s Stored) alive(now time.Time) Stored {
	if s.Signing != nil && expired(s.Signing.Certificate, now) {
		s.Signing = nil
	}
	if s.Next != nil && expired(s.Next.Certificate, now) {
		s.Next, s.Announced = nil, time.Time{}
	}
	s.Retired = s.Retired.unexpired(now)
	return s
}

// parseStored reads the data of the Secret. An error names the key and what is
// wrong with it; an empty value counts as absent.
func parseStored(data map[string][]byte) (Stored, error) {
	var stored Stored
	var faults [6]error
	stored.Signing, faults[0] = parseCA(data, signingCertificateKey, signingKeyKey)
	stored.Next, faults[1] = parseCA(data, nextCertificateKey, nextKeyKey)
	stored.Announced, faults[2] = parseTime(data, announcedKey)
	stored.RetiredSince, faults[3] = parseTime(data, retiredSinceKey)
	if len(data[retiredKey]) > 0 {
		var err error
		if stored.Retired, err = parseBundle(data[retiredKey]); err != nil {
			faults[4] = fmt.Errorf("key %s: %w", retiredKey, err)
		}
	}
	if len(data[retiredKey]) > 0 && len(data[retiredSinceKey]) == 0 {
		faults[5] = fmt.Errorf("key %s: it is missing, so nobody knows when %s may go", retiredSinceKey, retiredKey)
	}
	return stored, errors.Join(faults[:]...)
}

func parseCA(data map[string][]byte, certificateKey, keyKey string) (*CA, error) {
	if len(data[certificateKey]) == 0 && len(data[keyKey]) == 0 {
		return nil, nil
	}
	certificates, err := parseBundle(data[certificateKey])
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", certificateKey, err)
	}
	if len(certificates) != 1 || !certificates[0].IsCA {
		return nil, fmt.Errorf("key %s: it is not exactly one CA certificate", certificateKey)
	}
	if block, _ := pem.Decode(data[keyKey]); block == nil {
		return nil, fmt.Errorf("key %s: it is not a PEM private key", keyKey)
	}
	// X509KeyPair reads every encoding of a key and compares it to the certificate.
	pair, err := tls.X509KeyPair(data[certificateKey], data[keyKey])
	if err != nil {
		return nil, fmt.Errorf("key %s: it is not the private key of %s: %w", keyKey, certificateKey, err)
	}
	return &CA{Certificate: certificates[0], Key: pair.PrivateKey.(crypto.Signer)}, nil
}

func parseTime(data map[string][]byte, key string) (time.Time, error) {
	if len(data[key]) == 0 {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, string(data[key]))
	if err != nil {
		return time.Time{}, fmt.Errorf("key %s: it is not a time like 2026-01-02T15:04:05Z", key)
	}
	return at, nil
}

// write puts Stored into the data of a Secret, whose other keys stay.
func (s Stored) write(data map[string][]byte) error {
	err := errors.Join(
		writeCA(data, s.Signing, signingCertificateKey, signingKeyKey),
		writeCA(data, s.Next, nextCertificateKey, nextKeyKey),
	)
	put(data, announcedKey, formatTime(s.Announced))
	put(data, retiredKey, s.Retired.PEM())
	put(data, retiredSinceKey, formatTime(s.RetiredSince))
	return err
}

func writeCA(data map[string][]byte, ca *CA, certificateKey, keyKey string) error {
	if ca == nil {
		put(data, certificateKey, nil)
		put(data, keyKey, nil)
		return nil
	}
	key, err := x509.MarshalPKCS8PrivateKey(ca.Key)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", keyKey, err)
	}
	put(data, certificateKey, Bundle{ca.Certificate}.PEM())
	put(data, keyKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	return nil
}

// formatTime rounds up to the second: a time must never be stored earlier than
// it was, or a wait would be cut short.
func formatTime(at time.Time) []byte {
	if at.IsZero() {
		return nil
	}
	if whole := at.Truncate(time.Second); whole.Before(at) {
		at = whole.Add(time.Second)
	}
	return []byte(at.UTC().Format(time.RFC3339))
}

func put(data map[string][]byte, key string, value []byte) {
	if len(value) == 0 {
		delete(data, key)
		return
	}
	data[key] = value
}
