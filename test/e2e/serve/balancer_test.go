package serve

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// balancer takes the place of the Service: each new connection goes to the next ready replica, and a
// replica that is not ready keeps the connections that it has.
type balancer struct {
	listener net.Listener

	mu       sync.Mutex
	backends []*backend
	turn     int
}

type backend struct {
	*replica
	ready bool
	lost  time.Time         // when it was ready no more, the last time
	open  map[net.Conn]bool // connections that the API server has not closed
}

func startBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{listener: listener}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
	})
	go b.accept(ctx)
	go b.probe(ctx)
	return b
}

// host is this machine for whoever dials it, but no loopback address. With those the API server speaks
// HTTP/2, all on one connection; with whatever else it calls, a Service among it, HTTP/1.1 on as many
// connections as it needs.
const host = "0.0.0.0"

func (b *balancer) url(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(b.listener.Addr().String())
	require.NoError(t, err)
	return "https://" + net.JoinHostPort(host, port)
}

func (b *balancer) add(replicas ...*replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range replicas {
		b.backends = append(b.backends, &backend{replica: r, open: map[net.Conn]bool{}})
	}
}

// open returns how many connections the API server has with a replica, and whether new ones go there.
func (b *balancer) open(r *replica) (count int, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.backends {
		if known.replica == r {
			return len(known.open), known.ready
		}
	}
	return 0, false
}

// stayedReady tells whether a replica was ready all the time since a moment in which it was.
func (b *balancer) stayedReady(r *replica, since time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.backends, func(known *backend) bool { return known.replica == r && known.ready && known.lost.Before(since) })
}

// probe asks every replica for its readiness, again and again, side by side: one that hangs must not
// keep the others waiting.
func (b *balancer) probe(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		b.mu.Lock()
		backends := b.backends
		b.mu.Unlock()
		var asked sync.WaitGroup
		for _, known := range backends {
			asked.Go(func() {
				ready := known.replica.ready(ctx) == nil
				b.mu.Lock()
				defer b.mu.Unlock()
				if known.ready && !ready {
					known.lost = time.Now()
				}
				known.ready = ready
			})
		}
		asked.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *balancer) accept(ctx context.Context) {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		go b.serve(ctx, client)
	}
}

// serve joins a connection with one to a ready replica, or drops it where there is none.
func (b *balancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	for _, known := range b.order() {
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", known.webhook)
		if err != nil {
			continue // it died since it was asked
		}
		b.count(known, server, true)
		join(client, server)
		b.count(known, server, false)
		return
	}
}

// order returns the ready replicas, another first each time.
func (b *balancer) order() []*backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	var order []*backend
	for i := range b.backends {
		if known := b.backends[(b.turn+i)%len(b.backends)]; known.ready {
			order = append(order, known)
		}
	}
	return order
}

func (b *balancer) count(known *backend, server net.Conn, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if delete(known.open, server); open {
		known.open[server] = true
	}
}

// cut ends the connections with a replica, as a network does that gave its host up.
func (b *balancer) cut(r *replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.backends {
		if known.replica == r {
			for server := range known.open {
				_ = server.Close()
			}
		}
	}
}

// join copies both ways and returns when both sides have closed. An end is passed on as what it is: after
// a plain close, what the other side had not read yet would be lost.
func join(client, server net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // a broken connection ends like a closed one
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
	_ = client.Close()
	_ = server.Close()
}
