// Package registration registers nobody.
package registration

import (
	"crypto"
	"errors"
)

// Resource is an account.
type Resource struct {
	URI string
}

// User has an account.
type User interface {
	GetEmail() string
	GetRegistration() *Resource
	GetPrivateKey() crypto.PrivateKey
}

// RegisterOptions say what to register.
type RegisterOptions struct{ TermsOfServiceAgreed bool }

// RegisterEABOptions say it for an account that is bound to another.
type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid, HmacEncoded     string
}

// Registrar would register accounts.
type Registrar struct{}

// Register always fails.
func (*Registrar) Register(RegisterOptions) (*Resource, error) { return nil, errors.ErrUnsupported }

// RegisterWithExternalAccountBinding always fails.
func (*Registrar) RegisterWithExternalAccountBinding(RegisterEABOptions) (*Resource, error) {
	return nil, errors.ErrUnsupported
}
