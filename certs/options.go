package certs

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// Options say whose certificates are kept and where they are trusted.
type Options struct {
	// Namespace holds the Secrets: sluice's own.
	Namespace string
	// SecretName is the Secret of sluice's CA; "" means DefaultSecretName.
	SecretName string
	// ServingSecret is a kubernetes.io/tls Secret that cert-manager keeps, to be
	// served instead of a leaf of sluice's CA; "" means sluice's CA.
	ServingSecret string
	// DNSNames and IPs are what the API server may call the webhook server.
	DNSNames []string
	IPs      []net.IP
	// MutatingConfigurations and ValidatingConfigurations name the webhook
	// configurations whose caBundle is kept.
	MutatingConfigurations   []string
	ValidatingConfigurations []string
	// Optional are names of those that may never come: nothing waits for them.
	Optional []string

	Timing
}

// Timing is how long things live and wait; a zero field means its default.
type Timing struct {
	CAValidity   time.Duration // life of the CA; renewed at 2/3
	LeafValidity time.Duration // life of a leaf; renewed at 2/3
	Overlap      time.Duration // how long a CA stays trusted after it stopped signing
	Propagation  time.Duration // from a written caBundle to every API server using it
	Interval     time.Duration // longest pause between two looks at the cluster
	Skew         time.Duration // how far any two clocks may differ
}

// DefaultSecretName is the Secret of the CA unless Options say otherwise.
const DefaultSecretName = "sluice-ca"

const day = 24 * time.Hour

// DefaultTiming is used for whatever Options leave zero.
var DefaultTiming = Timing{
	CAValidity:   365 * day,
	LeafValidity: 7 * day,
	Overlap:      8 * day,
	Propagation:  time.Minute,
	Interval:     30 * time.Second,
	Skew:         2 * time.Minute,
}

// ServiceNames are the DNS names under which a Service is called inside the
// cluster; the API server uses the first.
func ServiceNames(service, namespace string) []string {
	host := service + "." + namespace + ".svc"
	return []string{host, host + ".cluster.local"}
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	o = o.withDefaults()
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(o.Namespace != "", "certificates: the namespace of the Secrets is missing")
	require(len(o.DNSNames)+len(o.IPs) > 0, "certificates: no DNS name and no IP address to serve")
	require(o.ServingSecret != o.SecretName, "certificates: the serving Secret and the Secret of sluice's own CA are both %q", o.SecretName)
	configurations := append(append([]string{}, o.MutatingConfigurations...), o.ValidatingConfigurations...)
	require(len(configurations) > 0, "certificates: no webhook configuration is named")
	for _, name := range append(configurations, o.DNSNames...) {
		require(name != "", "certificates: an empty name among the DNS names and webhook configurations")
	}
	return errors.Join(append(faults, o.Timing.validate())...)
}

func (t Timing) validate() error {
	var faults []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"CA validity", t.CAValidity}, {"leaf validity", t.LeafValidity}, {"overlap", t.Overlap},
		{"propagation", t.Propagation}, {"interval", t.Interval}, {"skew", t.Skew},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("certificates: %s %s is not positive", d.name, d.value))
		}
	}
	if t.LeafValidity/3 < t.Interval {
		faults = append(faults, fmt.Errorf("certificates: a third of leaf validity %s is shorter than interval %s, so a leaf could expire before it is renewed", t.LeafValidity, t.Interval))
	}
	if least := t.LeafValidity + 2*t.Skew + roundTimeout; t.Overlap < least {
		faults = append(faults, fmt.Errorf("certificates: overlap %s is shorter than leaf validity + 2 skew + 1m = %s, so a CA could be dropped while a leaf of it is served", t.Overlap, least))
	}
	if least := t.Overlap + t.Propagation + t.Skew; t.CAValidity/3 < least {
		faults = append(faults, fmt.Errorf("certificates: a third of CA validity %s is shorter than overlap + propagation + skew = %s, so the CA could expire during its rotation", t.CAValidity, least))
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	if o.SecretName == "" {
		o.SecretName = DefaultSecretName
	}
	for _, d := range []struct{ value, fallback *time.Duration }{
		{&o.CAValidity, &DefaultTiming.CAValidity}, {&o.LeafValidity, &DefaultTiming.LeafValidity},
		{&o.Overlap, &DefaultTiming.Overlap}, {&o.Propagation, &DefaultTiming.Propagation},
		{&o.Interval, &DefaultTiming.Interval}, {&o.Skew, &DefaultTiming.Skew},
	} {
		if *d.value == 0 {
			*d.value = *d.fallback
		}
	}
	return o
}
