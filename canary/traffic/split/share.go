package split

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Names are a Service and the two that sluice keeps beside it during a release. What a route says of Stable
// and Canary is sluice's: the caller makes sure that nobody else has Services of these names.
type Names struct {
	Service, Stable, Canary string
}

// NamesOf returns the names for a Service: "web", "web-stable" and "web-canary". The name of a Service has at
// most 63 characters; one that is too long is cut, and a hash of it added.
func NamesOf(service string) Names {
	stem := service
	if len(stem) > 63-len("-stable") {
		sum := sha256.Sum256([]byte(service))
		stem = stem[:63-len("-stable")-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return Names{Service: service, Stable: stem + "-stable", Canary: stem + "-canary"}
}

func (n Names) validate() error {
	if n.Service == "" || n.Stable == "" || n.Canary == "" || n.Service == n.Stable || n.Service == n.Canary || n.Stable == n.Canary {
		return fmt.Errorf("the Services %q, %q and %q are not three", n.Service, n.Stable, n.Canary)
	}
	return nil
}

// Share is the part of a Service's requests that the canary gets.
type Share struct {
	Names
	// Weight is the percentage of requests, 0 to 100.
	Weight int32
	// Match, where it is not empty, sends the requests that it describes to the canary whatever the weight.
	Match Match
	// Workload says whose release it is, "Deployment/web", so that admission can tell people; "" is valid.
	Workload string
}

// workload is what a Share says of one. It stands in warnings, and anybody may have written the record.
var workload = regexp.MustCompile(`^[A-Za-z]{1,63}/[a-z0-9.-]{1,253}$`)

func (s Share) validate() error {
	if err := s.Names.validate(); err != nil {
		return err
	}
	if s.Weight < 0 || s.Weight > 100 {
		return fmt.Errorf("the weight %d is not a percentage from 0 to 100", s.Weight)
	}
	if s.Workload != "" && !workload.MatchString(s.Workload) {
		return fmt.Errorf("the workload %q is not a kind and a name, like Deployment/web", s.Workload)
	}
	if s.Match == (Match{}) {
		return nil
	}
	_, err := ParseMatch(s.Match.String())
	return err
}
