package harness

import (
	"net/http"
	"sync"
)

// hold keeps a write of sluice's on its way.
type hold struct {
	namespace string
	match     func(Write) bool
	reached   chan struct{}
	released  chan struct{}
}

// Hold keeps the next write of sluice's to a namespace that matches from reaching the API server until
// the test lets it go, so that the test can do what sluice has not seen. Reached is closed when such a
// write is there. Release is called whether it was reached or not, and may be called again. Sluice itself gives a write up after a
// minute, and tries it again.
func (p *Proxy) Hold(namespace string, match func(Write) bool) (reached <-chan struct{}, release func()) {
	h := &hold{namespace: namespace, match: match, reached: make(chan struct{}), released: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds = append(p.holds, h)
	return h.reached, sync.OnceFunc(func() { close(h.released) })
}

// wait returns when nothing holds the request any more.
func (p *Proxy) wait(r *http.Request) {
	if r.Header.Get("Authorization") == p.admin {
		return
	}
	h := p.take(writeOf(r))
	if h == nil {
		return
	}
	close(h.reached)
	select {
	case <-h.released:
	case <-r.Context().Done():
	}
}

// take returns the hold for a write, which holds no other.
func (p *Proxy) take(w Write) *hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, h := range p.holds {
		if h.namespace == w.Namespace && h.match(w) {
			p.holds = append(p.holds[:i:i], p.holds[i+1:]...)
			return h
		}
	}
	return nil
}
