// Package dns knows no provider.
package dns

import (
	"errors"

	"github.com/go-acme/lego/v4/challenge"
)

// NewDNSChallengeProviderByName always fails.
func NewDNSChallengeProviderByName(string) (challenge.Provider, error) {
	return nil, errors.ErrUnsupported
}
