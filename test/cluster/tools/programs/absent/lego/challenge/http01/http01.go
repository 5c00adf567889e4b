// Package http01 has the options of a proof by HTTP, which do nothing.
package http01

import "time"

// PathPrefix is where the proof is asked for.
const PathPrefix = "/.well-known/acme-challenge/"

// ChallengeOption is an option of the proof.
type ChallengeOption struct{}

// SetDelay is an option.
func SetDelay(time.Duration) ChallengeOption { return ChallengeOption{} }
