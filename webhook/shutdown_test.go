package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// load posts a review again and again over one kind of connection.
type load struct {
	client   *http.Client
	url      string
	body     []byte
	answered atomic.Int64
}

// until posts until stop is closed or a request fails.
func (l *load) until(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := l.once(); err != nil {
			return err
		}
		l.answered.Add(1)
	}
}

func (l *load) once() error {
	response, err := l.client.Post(l.url, "application/json", bytes.NewReader(l.body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"allowed":true`))) {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

// No request is lost from SIGTERM until the listener closes, on kept connections, on new ones and over
// HTTP/2; a request that has begun by then is answered.
func TestShutdownUnderLoadLosesNoRequest(t *testing.T) {
	const delay = 700 * time.Millisecond
	s := cluster{objects: shopWithConfig("info"), opts: func(o *Options) { o.ShutdownDelay = delay }}.server(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	awaitReady(t, s)

	body, err := json.Marshal(contractReview(t, "update-of-the-image-with-config"))
	require.NoError(t, err)
	insecure := func() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
	loads := map[string]*load{}
	for name, transport := range map[string]*http.Transport{
		"kept 1": {TLSClientConfig: insecure()}, "kept 2": {TLSClientConfig: insecure()}, "kept 3": {TLSClientConfig: insecure()},
		"new 1": {TLSClientConfig: insecure(), DisableKeepAlives: true}, "new 2": {TLSClientConfig: insecure(), DisableKeepAlives: true},
		"h2 1": {TLSClientConfig: insecure(), ForceAttemptHTTP2: true}, "h2 2": {TLSClientConfig: insecure(), ForceAttemptHTTP2: true},
	} {
		loads[name] = &load{client: &http.Client{Transport: transport}, url: "https://" + s.Address() + MutatePath + "?timeout=5s", body: body}
	}
	var wg sync.WaitGroup
	finished := make(chan struct{})
	type failure struct {
		name string
		at   time.Time
		err  error
	}
	failures := make(chan failure, len(loads))
	for name, l := range loads {
		wg.Go(func() {
			if err := l.until(finished); err != nil {
				failures <- failure{name, time.Now(), err}
			}
		})
	}
	for name, l := range loads {
		require.Eventually(t, func() bool { return l.answered.Load() > 5 }, 20*time.Second, time.Millisecond, name)
	}

	stopped := time.Now()
	stop()
	require.Eventually(t, func() bool { return s.Readyz(httptest.NewRequest("GET", "/readyz", nil)) != nil }, delay/2, time.Millisecond,
		"readiness fails first")
	require.NoError(t, <-ended)
	require.GreaterOrEqual(t, time.Since(stopped), delay)
	close(finished)
	wg.Wait()
	close(failures)
	for f := range failures {
		// After the delay nobody listens, and only a dial can fail: whatever the server accepted it answers.
		// A connection that waited to be accepted in that instant is reset by the kernel.
		require.Greater(t, f.at.Sub(stopped), delay, "%s: %v", f.name, f.err)
		refused := errors.Is(f.err, syscall.ECONNREFUSED) || errors.Is(f.err, syscall.ECONNRESET)
		require.True(t, refused, "%s: %v", f.name, f.err)
	}
	for name, l := range loads {
		t.Logf("%s: %d answered", name, l.answered.Load())
	}
}

// A request that has begun when the listener closes reads what it needs and is answered.
func TestARequestInFlightIsFinished(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := cluster{objects: shopWithConfig("info"), funcs: interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if kindOf(key, object) == "Namespace" {
				close(entered)
				<-release
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return c.Get(ctx, key, object, opts...)
		},
	}}.server(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	awaitReady(t, s)

	body, err := json.Marshal(contractReview(t, "update-of-the-image"))
	require.NoError(t, err)
	code := make(chan int, 1)
	go func() {
		c, _ := exchange(t, tlsClient(t), s, MutatePath, body)
		code <- c
	}()
	<-entered
	stop()
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", s.Address(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "the listener closes")
	close(release)
	require.Equal(t, http.StatusOK, <-code)
	require.NoError(t, <-ended)
}

// Every answer on the way out sends its client elsewhere.
func TestAnswersWhileDrainingCloseTheirConnection(t *testing.T) {
	s := startServer(t, cluster{objects: shopWithConfig("info")}.server(t))
	body, err := json.Marshal(contractReview(t, "update-of-a-label"))
	require.NoError(t, err)
	c := tlsClient(t)
	for _, draining := range []bool{false, true} {
		s.draining.Store(draining)
		response, err := c.Post("https://"+s.Address()+MutatePath, "application/json", bytes.NewReader(body))
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, draining, response.Close)
	}
}

// A client that goes away takes its reads with it.
func TestReadsEndWithTheirClient(t *testing.T) {
	entered, gone := make(chan struct{}), make(chan error, 1)
	s := startServer(t, cluster{objects: shopWithConfig("info"), funcs: failing("Namespace", func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		gone <- ctx.Err()
		return ctx.Err()
	})}.server(t))
	body, err := json.Marshal(contractReview(t, "update-of-the-image"))
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.Address()+MutatePath+"?timeout=30s", bytes.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		_, _ = tlsClient(t).Do(request)
	}()
	<-entered
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
}
