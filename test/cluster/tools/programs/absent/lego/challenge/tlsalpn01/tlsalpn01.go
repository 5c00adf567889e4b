// Package tlsalpn01 has the options of a proof by TLS, which do nothing.
package tlsalpn01

import (
	"errors"
	"time"
)

// ACMETLS1Protocol is the protocol of the proof.
const ACMETLS1Protocol = "acme-tls/1"

// ChallengeOption is an option of the proof.
type ChallengeOption struct{}

// SetDelay is an option.
func SetDelay(time.Duration) ChallengeOption { return ChallengeOption{} }

// ChallengeBlocks always fails.
func ChallengeBlocks(_, _ string) ([]byte, []byte, error) { return nil, nil, errors.ErrUnsupported }
