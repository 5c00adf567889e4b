package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// probes answer the kubelet and the monitoring.
type probes struct {
	servers []*http.Server
	sockets []net.Listener
}

// health is what the webhook server says about itself.
type health interface {
	Healthz(*http.Request) error
	Readyz(*http.Request) error
}

// openProbes opens the ports.
func openProbes(opts ProbeOptions, health health, gatherer prometheus.Gatherer) (*probes, error) {
	p := &probes{}
	checks := http.NewServeMux()
	checks.HandleFunc("/healthz", answer(health.Healthz))
	checks.HandleFunc("/readyz", answer(health.Readyz))
	gathered := http.NewServeMux()
	gathered.Handle("/metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	err := errors.Join(p.open(opts.Health, "--health-address", checks), p.open(opts.Metrics, "--metrics-address", gathered))
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *probes) open(address, flag string, handler http.Handler) error {
	if address == Off {
		return nil
	}
	socket, err := listen(address, flag)
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, socket)
	p.servers = append(p.servers, &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
	})
	return nil
}

// serve answers until close.
func (p *probes) serve(ctx context.Context) {
	for i, s := range p.servers {
		go func() {
			if err := s.Serve(p.sockets[i]); !errors.Is(err, http.ErrServerClosed) {
				log.FromContext(ctx).Error(err, "serving probes failed", "address", p.sockets[i].Addr().String())
			}
		}()
	}
}

func (p *probes) close() {
	for i, s := range p.servers {
		_ = s.Close()
		_ = p.sockets[i].Close() // where it was never served
	}
}

// answer is 200, or 503 with what is missing.
func answer(check func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok") // whoever asked and left needs no answer
	}
}
