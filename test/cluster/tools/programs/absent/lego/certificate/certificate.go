// Package certificate asks for no certificate.
package certificate

import "errors"

// Resource is a certificate with its key.
type Resource struct {
	Domain                  string
	PrivateKey, Certificate []byte
}

// ObtainRequest says what to ask for.
type ObtainRequest struct {
	Domains, EmailAddresses []string
	Bundle                  bool
	Profile, PreferredChain string
}

// RenewOptions say how to renew.
type RenewOptions struct {
	EmailAddresses          []string
	Bundle                  bool
	Profile, PreferredChain string
}

// Certifier asks for certificates.
type Certifier struct{}

// Obtain always fails.
func (*Certifier) Obtain(ObtainRequest) (*Resource, error) { return nil, errors.ErrUnsupported }

// RenewWithOptions always fails.
func (*Certifier) RenewWithOptions(Resource, *RenewOptions) (*Resource, error) {
	return nil, errors.ErrUnsupported
}
