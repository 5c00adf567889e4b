package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/cmd/sluice/server"
)

// Console is where dev speaks to the person.
type Console struct {
	Out io.Writer // one line, once sluice serves
	Err io.Writer // what is to be said beside the log
}

// session is one run of dev.
type session struct {
	opts    Options
	console Console
	person  server.Cluster
	client  client.Client // the person's
	install *installer
	lease   *lease
	base    string
	before  []string // Secrets that existed
}

// Run serves the cluster until ctx ends, and leaves it as it was.
func Run(ctx context.Context, opts Options, serving server.Options, console Console) error {
	person, err := opts.FromKubeconfig()
	if err != nil {
		return err
	}
	person.Remedy = fmt.Sprintf("sluice dev installs webhooks and roles: the user of context %s has to be a cluster-admin", person.Name)
	host, port := opts.listenAddress()
	if port == 0 {
		port, err = freePort(host)
	} else {
		err = server.TryPort(net.JoinHostPort(host, strconv.Itoa(port)), "--listen")
	}
	if err != nil {
		return err
	}
	serving.Webhook.Host, serving.Webhook.Port = host, port
	serving.Certificates.Hosts = append(serving.Certificates.Hosts, opts.hosts()...)
	s := &session{opts: opts, console: console, person: person, base: opts.base(host, port)}
	return s.run(ctx, serving)
}

func (s *session) run(ctx context.Context, serving server.Options) error {
	if err := s.connect(serving.Namespace); err != nil {
		return err
	}
	if err := s.occupy(ctx); err != nil {
		return s.gaveUp(ctx, err)
	}
	keeping, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		if err := s.lease.keep(keeping); err != nil {
			stop(err)
		}
	}()
	err := s.person.Explain(s.serve(keeping, serving))
	if overtaken(keeping) {
		return context.Cause(keeping)
	}
	if ctx.Err() != nil {
		err = nil // it was told to stop, wherever it was
	}
	return errors.Join(err, s.leave(context.WithoutCancel(ctx)))
}

// gaveUp ends a run that never occupied the cluster. Told to stop in between, it
// takes out what it may have made, unless another dev works there.
func (s *session) gaveUp(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return s.person.Explain(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeOutTimeout)
	defer cancel()
	found, err := s.lease.get(ctx)
	if by := claimOf(found).holder; err == nil && (by == "" || by == s.lease.here) && !s.install.leftovers {
		return s.leave(ctx)
	}
	return nil
}

// overtaken reports that another dev took over: nothing in the cluster is this
// one's any more.
func overtaken(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errTakenOver)
}

func (s *session) connect(namespace string) error {
	c, err := client.New(s.person.Config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	here, err := self()
	if err != nil {
		return err
	}
	installed, err := objects(s.base, namespace)
	if err != nil {
		return err
	}
	s.client = c
	s.install = &installer{client: c, parts: installed}
	s.lease = &lease{client: c, namespace: namespace, here: here, now: time.Now}
	return nil
}

// occupy makes sure that nobody else is sluice here. It is asked again under the
// Lease, since another dev may have been about to end.
func (s *session) occupy(ctx context.Context) error {
	if err := s.install.inspect(ctx); err != nil {
		return err
	}
	if err := s.install.prepareNamespace(ctx); err != nil {
		return err
	}
	if err := s.lease.take(ctx); err != nil {
		return err
	}
	return s.install.inspect(ctx)
}

// freePort returns one that nobody listens on. Should somebody else take it
// first, the webhooks never point there: they are installed once this process
// is seen to answer.
func freePort(host string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("looking for a free port on %s: %w", host, err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("looking for a free port on %s: %s is no TCP address", host, listener.Addr())
	}
	return address.Port, nil
}
