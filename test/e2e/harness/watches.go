package harness

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// watches are those that sluice has open.
type watches struct {
	mu      sync.Mutex
	open    map[int]openWatch
	count   int
	broken  bool
	expired map[string]bool // by path: the next watch that goes on from where it was gets 410
	refused int
}

type openWatch struct {
	path string
	end  func()
}

// BreakWatches ends sluice's watches and keeps it from opening others. What happens until the test mends
// them is forgotten by the API server: a watch that wants to go on from where it was gets 410 Gone, as after
// a compaction, and has to list again.
func (p *Proxy) BreakWatches() (mend func()) {
	w := &p.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
	for _, known := range w.open {
		w.expired[known.path] = true
		known.end()
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.broken = false
	}
}

// Relists counts the watches that were refused with 410 Gone.
func (p *Proxy) Relists() int {
	p.watches.mu.Lock()
	defer p.watches.mu.Unlock()
	return p.watches.refused
}

// Watched tells whether sluice watches a kind in all namespaces, "/apis/apps/v1/deployments".
func (p *Proxy) Watched(path string) bool {
	p.watches.mu.Lock()
	defer p.watches.mu.Unlock()
	for _, known := range p.watches.open {
		if known.path == path {
			return true
		}
	}
	return false
}

// watch lets one of sluice's requests pass, if it is a watch, unless watches are broken.
func (p *Proxy) watch(w http.ResponseWriter, r *http.Request) (_ *http.Request, done func(), answered bool) {
	if r.URL.Query().Get("watch") != "true" || r.Header.Get("Authorization") == p.admin {
		return r, func() {}, false
	}
	known := &p.watches
	known.mu.Lock()
	defer known.mu.Unlock()
	from := r.URL.Query().Get("resourceVersion")
	goesOn := from != "" && from != "0" && r.URL.Query().Get("sendInitialEvents") != "true"
	switch {
	case known.broken:
		refuse(w, TooMany)
		return r, func() {}, true
	case known.expired[r.URL.Path] && goesOn:
		delete(known.expired, r.URL.Path)
		known.refused++
		refuse(w, Gone)
		return r, func() {}, true
	}
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	known.count++
	id := known.count
	known.open[id] = openWatch{r.URL.Path, end}
	return r.WithContext(context.WithValue(r.Context(), stopKey{}, stop)), func() {
		known.mu.Lock()
		defer known.mu.Unlock()
		delete(known.open, id)
		end()
	}, false
}

type stopKey struct{}

// stoppable makes a watch end as the API server ends it: whoever watches goes on from where it was. Whoever
// loses the connection lists again anyway.
func stoppable(response *http.Response) {
	stop, ok := response.Request.Context().Value(stopKey{}).(chan struct{})
	if !ok {
		return
	}
	body := response.Body
	go func() {
		<-stop
		_ = body.Close()
	}()
	response.Body = stopped{body, stop}
}

type stopped struct {
	io.ReadCloser
	stop <-chan struct{}
}

func (s stopped) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	select {
	case <-s.stop:
		return n, io.EOF
	default:
		return n, err
	}
}
