package webhook

import (
	"net"
	"net/http"
	"sync"
)

// connections knows which connections have a request, or may be about to send their first.
type connections struct {
	mu    sync.Mutex
	busy  map[net.Conn]struct{}
	quiet chan struct{} // closed when none is busy, once somebody waits for it
}

// track is the ConnState of an http.Server.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		if c.busy == nil {
			c.busy = map[net.Conn]struct{}{}
		}
		c.busy[conn] = struct{}{}
		return
	}
	delete(c.busy, conn)
	c.settle()
}

// settled is closed when no connection is busy. It is for after the listener closed.
func (c *connections) settled() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	quiet := make(chan struct{})
	c.quiet = quiet
	c.settle()
	return quiet
}

func (c *connections) settle() {
	if c.quiet != nil && len(c.busy) == 0 {
		close(c.quiet)
		c.quiet = nil
	}
}
