package harness

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault is what becomes of one request of sluice's.
type Fault int

const (
	// Pass: nothing is wrong.
	Pass Fault = iota
	// Conflict, TooMany and Internal: the API server refuses with 409, 429 or 500 and does nothing.
	Conflict
	TooMany
	Internal
	// Lost: the API server does what was asked for and its answer is lost; sluice reads a 504.
	Lost
	// Gone: a watch begins at a version that the API server has forgotten.
	Gone
	// Hang: there is no answer at all until sluice gives up.
	Hang
)

// refusals are the statuses with which the API server refuses.
var refusals = map[Fault]metav1.Status{
	Conflict: {Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: "the test says that the object has been modified"},
	TooMany:  {Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests, Message: "the test says that there are too many requests"},
	Internal: {Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError, Message: "the test says that etcd is away"},
	Gone:     {Code: http.StatusGone, Reason: metav1.StatusReasonExpired, Message: "the test says that this resourceVersion is too old"},
	Lost:     {Code: http.StatusGatewayTimeout, Reason: metav1.StatusReasonTimeout, Message: "the test lost the answer"},
}

// Interfere makes sluice's requests in a namespace go wrong as choose says, until the test takes it back.
// Choose is called for one request at a time.
func (p *Proxy) Interfere(namespace string, choose func(Write) Fault) (restore func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[namespace] = choose
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.faults, namespace)
	}
}

// interferes tells whether requests in a namespace go wrong now.
func (p *Proxy) interferes(namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[namespace] != nil
}

// interfere answers a request in the API server's place where that was asked for. The request goes on
// with what it returns.
func (p *Proxy) interfere(w http.ResponseWriter, r *http.Request) (_ *http.Request, answered bool) {
	if r.Header.Get("Authorization") == p.admin {
		return r, false
	}
	switch fault := p.fault(writeOf(r)); fault {
	case Pass:
		return r, false
	case Lost:
		return r.WithContext(context.WithValue(r.Context(), lostKey{}, true)), false
	case Hang:
		<-r.Context().Done()
		return r, true
	case Conflict, TooMany, Internal, Gone:
		refuse(w, fault)
		return r, true
	}
	panic("this is a bug: an unknown fault")
}

func (p *Proxy) fault(w Write) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if choose := p.faults[w.Namespace]; choose != nil {
		return choose(w)
	}
	return Pass
}

type lostKey struct{}

// errLost keeps the answer to a write from sluice.
var errLost = errors.New("the answer to this write is lost")

func lost(ctx context.Context) bool { return ctx.Value(lostKey{}) != nil }

func refuse(w http.ResponseWriter, fault Fault) {
	status := refusals[fault]
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	status.Status = metav1.StatusFailure
	w.Header().Set("Content-Type", "application/json")
	if fault == TooMany {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // sluice may have given up
}
