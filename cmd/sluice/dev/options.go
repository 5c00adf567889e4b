package dev

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"sluice.dev/sluice/cmd/sluice/server"
)

// Options say which cluster is served and how its API server calls back.
type Options struct {
	server.Connection
	// URL is what the API server calls; "" is the address that is listened on.
	URL string
	// Listen is host:port; "" is the loopback address, at the port of URL or any
	// free one.
	Listen string
}

// AddFlags registers the flags; what the Options hold is their default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	o.Connection.AddFlags(flags)
	flags.StringVar(&o.URL, "url", o.URL, "https URL at which the cluster's API server reaches this process (default: where it listens)")
	flags.StringVar(&o.Listen, "listen", o.Listen, "host:port to listen on (default: 127.0.0.1 and the port of --url or a free one)")
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	return errors.Join(o.validateURL(), o.validateListen())
}

func (o Options) validateURL() error {
	if o.URL == "" {
		return nil
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("--url %q: want https://HOST:PORT; an API server calls nothing else", o.URL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("--url %q: no user, query or fragment; an API server accepts none", o.URL)
	case net.ParseIP(u.Hostname()) == nil && len(validation.IsDNS1123Subdomain(u.Hostname())) > 0:
		return fmt.Errorf("--url %q: %q is neither an IP address nor a host name", o.URL, u.Hostname())
	}
	return nil
}

func (o Options) validateListen() error {
	if o.Listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(o.Listen)
	number, numberErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numberErr != nil || (number == 0 && o.URL != "") {
		return fmt.Errorf("--listen %q: want HOST:PORT", o.Listen)
	}
	return nil
}

// listenAddress returns host and port for the server; port 0 is any free one.
func (o Options) listenAddress() (host string, port int) {
	host, text := "127.0.0.1", "0"
	if u, err := url.Parse(o.URL); err == nil && o.URL != "" {
		text = u.Port()
		if text == "" {
			text = "443"
		}
	}
	if o.Listen != "" {
		host, text, _ = net.SplitHostPort(o.Listen) // valid
	}
	port, _ = strconv.Atoi(text)
	return host, port
}

// base returns the URL that webhooks are given.
func (o Options) base(host string, port int) string {
	if o.URL != "" {
		return o.URL
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// hosts are the names and addresses for the certificate.
func (o Options) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if u, err := url.Parse(o.URL); err == nil && o.URL != "" {
		hosts = append(hosts, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(o.Listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	return hosts
}
