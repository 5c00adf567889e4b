package server

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"sluice.dev/sluice/canary/controller"
	"sluice.dev/sluice/certs"
	config "sluice.dev/sluice/hashing/controller"
	"sluice.dev/sluice/manifests"
	"sluice.dev/sluice/webhook"
	"sluice.dev/sluice/webhook/ownership"
)

// Options are those of every concern.
type Options struct {
	// Namespace is sluice's own: its Secrets, its Lease, its ServiceAccount.
	Namespace    string
	Webhook      WebhookOptions
	Ownership    OwnershipOptions
	Certificates CertificateOptions
	Controllers  ControllerOptions
	Probes       ProbeOptions
}

// Defaults are what the shipped Deployment runs with.
func Defaults() Options {
	admission := webhook.DefaultOptions()
	return Options{
		Namespace: manifests.Namespace,
		Webhook: WebhookOptions{
			Port: admission.Port, ShutdownDelay: 15 * time.Second,
			MaxRequests: admission.MaxRequests, MaxBytes: admission.MaxBytes,
		},
		Ownership: OwnershipOptions{Unknown: string(ownership.Warn), ForcedApply: string(ownership.Ignore)},
		Controllers: ControllerOptions{
			SettleTime: controller.DefaultSettleTime, Workers: controller.DefaultWorkers, AtOnce: config.DefaultAtOnce, LeaderElect: true,
		},
		Probes: ProbeOptions{Health: ":8081", Metrics: ":8080"},
	}
}

// AddFlags registers the flags of every concern.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	o.Webhook.AddFlags(flags)
	o.Ownership.AddFlags(flags)
	o.Certificates.AddFlags(flags)
	o.Controllers.AddFlags(flags)
	o.Probes.AddFlags(flags)
}

// Validate reports every fault of every concern at once.
func (o Options) Validate() error {
	var namespace error
	if faults := validation.IsDNS1123Label(o.Namespace); len(faults) > 0 {
		namespace = fmt.Errorf("--namespace %q: %s", o.Namespace, faults[0])
	}
	return errors.Join(namespace, o.webhook().Validate(), o.Ownership.Validate(), o.Certificates.Validate(), o.Controllers.Validate(), o.Probes.Validate())
}

// WebhookOptions are the flags of the admission server.
type WebhookOptions struct {
	Host          string
	Port          int
	ClientCA      string
	ShutdownDelay time.Duration
	MaxRequests   int
	MaxBytes      int64
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *WebhookOptions) AddFlags(flags *pflag.FlagSet) {
	flags.IntVar(&o.Port, "webhook-port", o.Port, "port of the admission webhook")
	flags.StringVar(&o.Host, "webhook-host", o.Host, "address that the admission webhook listens on (default: all)")
	flags.StringVar(&o.ClientCA, "client-ca", o.ClientCA,
		"PEM file; only API servers that show a certificate of this CA are answered")
	flags.DurationVar(&o.ShutdownDelay, "shutdown-delay", o.ShutdownDelay,
		"how long the webhook serves on after it was told to stop, until no API server calls it any more")
	flags.IntVar(&o.MaxRequests, "max-requests", o.MaxRequests, "how many reviews are decided at once; more are told to try again")
	flags.Int64Var(&o.MaxBytes, "max-bytes", o.MaxBytes, "how many bytes the reviews that are decided at once may have together")
}

func (o Options) webhook() webhook.Options {
	w := o.Webhook
	operator, _ := o.Ownership.operator() // validated on its own
	return webhook.Options{
		Host: w.Host, Port: w.Port, ClientCA: w.ClientCA, ShutdownDelay: w.ShutdownDelay,
		MaxRequests: w.MaxRequests, MaxBytes: w.MaxBytes,
		Ownership: operator,
		User:      "system:serviceaccount:" + o.Namespace + ":" + manifests.Name,
	}
}

// CertificateOptions are the flags of the webhook's certificates.
type CertificateOptions struct {
	ServingSecret string
	// Hosts are names and addresses that the API server calls beside the
	// Service's.
	Hosts []string
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *CertificateOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.ServingSecret, "serving-secret", o.ServingSecret,
		"Secret of type kubernetes.io/tls that cert-manager keeps; sluice-serving-cert is the one that sluice may read (default: sluice's own CA)")
	flags.StringSliceVar(&o.Hosts, "certificate-hosts", o.Hosts,
		"further host names and IP addresses that the webhook's certificate is to name")
}

// Validate reports every fault at once.
func (o CertificateOptions) Validate() error {
	var faults []error
	for _, host := range o.Hosts {
		if net.ParseIP(host) == nil && len(validation.IsDNS1123Subdomain(host)) > 0 {
			faults = append(faults, fmt.Errorf("--certificate-hosts %q: neither an IP address nor a host name", host))
		}
	}
	if o.ServingSecret != "" && len(validation.IsDNS1123Subdomain(o.ServingSecret)) > 0 {
		faults = append(faults, fmt.Errorf("--serving-secret %q: not the name of a Secret", o.ServingSecret))
	}
	return errors.Join(faults...)
}

func (o Options) certificates() certs.Options {
	c := certs.Options{
		Namespace:                o.Namespace,
		ServingSecret:            o.Certificates.ServingSecret,
		DNSNames:                 certs.ServiceNames(manifests.Name, o.Namespace),
		MutatingConfigurations:   []string{manifests.Name},
		ValidatingConfigurations: []string{manifests.Name, manifests.OwnershipName},
		Optional:                 []string{manifests.OwnershipName},
	}
	for _, host := range o.Certificates.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPs = append(c.IPs, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	return c
}

// ProbeOptions are where the kubelet and the monitoring ask.
type ProbeOptions struct {
	Health, Metrics string
}

// Off is the address of a port that is not wanted.
const Off = "0"

// AddFlags registers the flags; what the Options hold is their default.
func (o *ProbeOptions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Health, "health-address", o.Health, "address of /healthz and /readyz; 0 for none")
	flags.StringVar(&o.Metrics, "metrics-address", o.Metrics, "address of /metrics; 0 for none")
}

// Validate reports every fault at once.
func (o ProbeOptions) Validate() error {
	return errors.Join(validAddress("--health-address", o.Health), validAddress("--metrics-address", o.Metrics))
}

func validAddress(flag, address string) error {
	if address == Off {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || strings.TrimSpace(port) == "" {
		return fmt.Errorf("%s %q: want HOST:PORT, :PORT, or 0 for none", flag, address)
	}
	return nil
}
