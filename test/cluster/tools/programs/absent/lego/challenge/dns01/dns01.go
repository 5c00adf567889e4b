// Package dns01 has the options of a proof by DNS, which do nothing.
package dns01

import (
	"strings"
	"time"
)

// ChallengeOption is an option of the proof.
type ChallengeOption struct{}

// UnFqdn returns a domain without the final dot.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }

// AddRecursiveNameservers is an option.
func AddRecursiveNameservers([]string) ChallengeOption { return ChallengeOption{} }

// RecursiveNSsPropagationRequirement is an option.
func RecursiveNSsPropagationRequirement() ChallengeOption { return ChallengeOption{} }

// DisableAuthoritativeNssPropagationRequirement is an option.
func DisableAuthoritativeNssPropagationRequirement() ChallengeOption { return ChallengeOption{} }

// PropagationWait is an option.
func PropagationWait(time.Duration, bool) ChallengeOption { return ChallengeOption{} }
