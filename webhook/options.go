package webhook

import (
	"errors"
	"fmt"
	"net"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"sluice.dev/sluice/webhook/ownership"
)

// DefaultUser is the username of sluice's own ServiceAccount.
const DefaultUser = "system:serviceaccount:sluice-system:sluice"

// maxBody bounds one AdmissionReview: two objects of at most 3 MiB, which is what the API server
// accepts, and everything around them.
const maxBody = 7 << 20

// Options of the admission server.
type Options struct {
	// Host is the address to listen on; empty: all.
	Host string
	// Port to listen on; 0: any free one, which Server.Address tells.
	Port int
	// User is sluice's own username, whose writes of the state are taken over.
	User string
	// ClientCA is a PEM file. Where it is set, only clients with a certificate of it are answered.
	ClientCA string
	// ShutdownDelay is how long the server goes on serving after it has to stop.
	ShutdownDelay time.Duration
	// MaxRequests is how many reviews are handled at once; more are answered with 429.
	MaxRequests int
	// MaxBytes is how much their bodies may take together. Handling a body takes up to ten times its
	// size in memory.
	MaxBytes int64
	// Ownership is what holds in the whole cluster for conflicts of field managers.
	Ownership ownership.Operator
}

// DefaultOptions returns the options that the shipped manifests rely on.
func DefaultOptions() Options {
	return Options{
		Port:          9443,
		User:          DefaultUser,
		ShutdownDelay: 15 * time.Second,
		MaxRequests:   100,
		MaxBytes:      4 * maxBody,
	}
}

// Validate lists every fault at once.
func (o Options) Validate() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("webhook: "+format, args...))
		}
	}
	require(o.Host == "" || net.ParseIP(o.Host) != nil || len(validation.IsDNS1123Subdomain(o.Host)) == 0,
		"host %q is neither an IP address nor a host name", o.Host)
	require(o.Port >= 0 && o.Port <= 65535, "port %d is not between 0 and 65535", o.Port)
	require(o.User != "", "the username of sluice's own ServiceAccount is missing")
	require(o.ShutdownDelay >= 0, "shutdown delay %s is negative", o.ShutdownDelay)
	require(o.MaxRequests > 0, "%d requests at once are not positive", o.MaxRequests)
	require(o.MaxBytes >= maxBody, "%d bytes at once are less than one review may have (%d)", o.MaxBytes, maxBody)
	if err := o.Ownership.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("webhook: %w", err))
	}
	return errors.Join(faults...)
}
