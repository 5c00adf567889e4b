package webhook

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runServer runs a server until the test ends.
func runServer(t testing.TB, start func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- start(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
}

// startServer runs a server until the test ends, and waits until it is ready.
func startServer(t testing.TB, s *Server) *Server {
	runServer(t, s.Start)
	awaitReady(t, s)
	return s
}

func awaitReady(t testing.TB, s *Server) {
	r := httptest.NewRequest("GET", "/readyz", nil)
	require.Eventually(t, func() bool { return s.Readyz(r) == nil }, 10*time.Second, 5*time.Millisecond, "%v", s.Readyz(r))
}
