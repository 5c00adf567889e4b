package webhook

import (
	"context"
	"net/http"
	"time"
)

const (
	// The API server's longest and default timeout of a webhook.
	longestTimeout = 30 * time.Second
	defaultTimeout = 10 * time.Second
)

// budget returns how long a request may take, from what the API server says it waits, less what the
// answer needs to get there: a tenth, 100 ms to 1 s.
func budget(r *http.Request) time.Duration {
	timeout, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || timeout <= 0 {
		timeout = defaultTimeout
	}
	timeout = min(timeout, longestTimeout)
	return timeout - min(max(timeout/10, 100*time.Millisecond), time.Second, timeout/2)
}

// withBudget bounds the handling of a request. It ends with the client, but not with the server: a
// server that stops finishes what it has begun.
func withBudget(r *http.Request, stopping func() bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), budget(r))
	stop := context.AfterFunc(r.Context(), func() {
		if !stopping() {
			cancel()
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}
