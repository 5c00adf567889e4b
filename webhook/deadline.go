package webhook

import (
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
