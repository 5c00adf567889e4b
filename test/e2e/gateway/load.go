package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sender sends requests to one address, whatever host they name. It follows nothing and tries nothing again.
type sender struct {
	http   *http.Client
	host   string      // whose pods are to answer
	header http.Header // of each request
}

// patience is how long a request may take. One that waits for a pod is lost long before.
const patience = 10 * time.Second

func newSender(t testing.TB, host string) *sender {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, Address)
		},
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &sender{http: &http.Client{Transport: transport, Timeout: patience}, host: host}
}

func (c *sender) get(url string) Answer {
	a := Answer{At: time.Now()}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		a.Reason = err.Error()
		return a
	}
	request.Header = c.header.Clone()
	response, err := c.http.Do(request)
	if err == nil {
		defer response.Body.Close()
		err = a.read(response, c.host)
	}
	a.Took = time.Since(a.At)
	if err != nil {
		a.Status, a.Reason = 0, err.Error()
	}
	return a
}

func (a *Answer) read(response *http.Response, host string) error {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	a.Status = response.StatusCode
	if a.Status != http.StatusOK {
		a.Reason = strings.TrimSpace(string(body))
		return nil
	}
	var pod served
	if err := json.Unmarshal(body, &pod); err != nil {
		return fmt.Errorf("reading the answer %q: %w", body, err)
	}
	if Host(pod.Namespace) != host { // addresses of pods that are gone are given to others
		return fmt.Errorf("%s is answered by a pod of another namespace: %s", host, body)
	}
	a.Image, a.Pod, a.Hash = pod.Image, pod.Pod, pod.Hash
	return nil
}

// Ask sends one request to a host.
func (g *Gateway) Ask(t testing.TB, host string) Answer {
	return newSender(t, host).get("http://" + host + "/")
}

// Await sends requests to a host, one after another, until an answer is as asked for.
func (g *Gateway) Await(t testing.TB, host, what string, ok func(Answer) bool) Answer {
	t.Helper()
	c := newSender(t, host)
	deadline := time.Now().Add(time.Minute)
	for {
		a := c.get("http://" + host + "/")
		if ok(a) {
			return a
		}
		require.True(t, time.Now().Before(deadline), "waited a minute until %s; at last: %s", what, a)
		select {
		case <-t.Context().Done():
			require.NoError(t, t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// workers is how many requests of a burst are on their way at once.
const workers = 16

// Burst sends so many requests to a host as fast as they are answered.
func (g *Gateway) Burst(t testing.TB, host string, requests int) Answers {
	t.Helper()
	c := newSender(t, host)
	return burst(requests, func(int) Answer { return c.get("http://" + host + "/") })
}

// BurstWith is Burst with a header in each request, "NAME=VALUE".
func (g *Gateway) BurstWith(t testing.TB, host string, requests int, header string) Answers {
	t.Helper()
	c := newSender(t, host)
	name, value, _ := strings.Cut(header, "=")
	c.header = http.Header{http.CanonicalHeaderKey(name): {value}}
	return burst(requests, func(int) Answer { return c.get("http://" + host + "/") })
}

func burst(requests int, ask func(i int) Answer) Answers {
	answers := make(Answers, requests)
	next := make(chan int)
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for i := range next {
				answers[i] = ask(i)
			}
		})
	}
	for i := range requests {
		next <- i
	}
	close(next)
	done.Wait()
	sortAnswers(answers)
	return answers
}

func sortAnswers(a Answers) {
	slices.SortFunc(a, func(a, b Answer) int { return a.At.Compare(b.At) })
}

// Load is a steady stream of requests: each is sent at its time, whatever becomes of those before.
type Load struct {
	client  *sender
	cancel  context.CancelFunc
	sending sync.WaitGroup

	mu      sync.Mutex
	answers Answers
}

// Load sends so many requests a second to a host until Stop, or the end of the test.
func (g *Gateway) Load(t testing.TB, host string, rate int) *Load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{client: newSender(t, host), cancel: cancel}
	l.sending.Go(func() { l.send(ctx, time.Second/time.Duration(rate)) })
	t.Cleanup(func() { l.Stop() })
	return l
}

// send keeps to the times even where the machine was late: those that are due are sent at once.
func (l *Load) send(ctx context.Context, interval time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := time.Now(); ; due = due.Add(interval) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		l.sending.Go(func() { l.add(l.client.get("http://" + l.client.host + "/")) })
	}
}

func (l *Load) add(a Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, a)
}

// Answers returns those that came until now.
func (l *Load) Answers() Answers {
	l.mu.Lock()
	defer l.mu.Unlock()
	answers := slices.Clone(l.answers)
	sortAnswers(answers)
	return answers
}

// Stop sends no more, waits for the last answer and returns all.
func (l *Load) Stop() Answers {
	l.cancel()
	l.sending.Wait()
	return l.Answers()
}

// Lost returns the requests that were lost until now.
func (l *Load) Lost() Answers { return l.Answers().Lost() }

// Shares returns which share of the answers came from which image, in percent, of the requests sent in between.
func (l *Load) Shares(from, to time.Time) map[string]float64 {
	return l.Answers().Between(from, to).Shares()
}

// LastOf returns when an image gave its last answer until now, and whether it gave any.
func (l *Load) LastOf(image string) (time.Time, bool) { return l.Answers().LastOf(image) }
