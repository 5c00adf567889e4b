package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/seed"
)

// BenchmarkServer compares sluice with a webhook of controller-runtime that allows everything: CPU of
// the server, allocations and latency per review, over TLS with HTTP/1.1 and one kept connection, as
// the API server calls webhooks.
//
// Both servers run in this process, and batches of both alternate, so that the machine's moods hit both.
// The client is a process of its own (this test binary again), so that getrusage of this process counts
// the server only, garbage collection and TLS included. What sluice reads live is answered from memory.
//
//	go test ./webhook -run '^$' -bench Server -benchtime 20x
func BenchmarkServer(b *testing.B) {
	floor := startFloor(b)
	s := startServer(b, cluster{deps: func(d *Deps) { d.Reader = fromMemory{} }}.server(b))
	client := startClient(b)
	for _, size := range []int{9 << 10, 23 << 10, 177 << 10} {
		reviews := benchmarkReviews(b, size)
		for _, name := range slices.Sorted(maps.Keys(reviews)) {
			body := reviews[name]
			file := filepath.Join(b.TempDir(), "review.json")
			require.NoError(b, os.WriteFile(file, body, 0o600))
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				requests := max(20, 3<<20/len(body))
				var noop, ours measured
				client.run(b, "https://"+floor+"/noop", file, requests, &measured{})
				client.run(b, "https://"+s.Address()+MutatePath, file, requests, &measured{})
				for b.Loop() {
					client.run(b, "https://"+floor+"/noop", file, requests, &noop)
					client.run(b, "https://"+s.Address()+MutatePath, file, requests, &ours)
				}
				ours.report(b, noop)
			})
		}
	}
}

// benchmarkReviews returns what admission sees most: a write that is not about the template, a new
// template, and the same after sluice handled it.
func benchmarkReviews(b *testing.B, size int) map[string][]byte {
	old := generate(b, size, "registry.example/web:1.0")
	labelled := generate(b, size, "registry.example/web:1.0")
	labelled["metadata"].(map[string]any)["labels"].(map[string]any)["tier"] = "front"
	changed := updateReview(b, old, generate(b, size, "registry.example/web:2.0"))
	s := cluster{deps: func(d *Deps) { d.Reader = fromMemory{} }}.server(b)
	held := changed.DeepCopy()
	held.Request.Object.Raw = applyPatch(b, changed.Request.Object.Raw, admit(b, s, MutatePath, changed).Patch)
	reviews := map[string][]byte{}
	for name, review := range map[string]any{
		"label": updateReview(b, old, labelled), "hold": changed, "held": held,
	} {
		raw, err := json.Marshal(review)
		require.NoError(b, err)
		reviews[name] = raw
	}
	return reviews
}

// fromMemory answers reads of the Namespace and the ConfigMap.
type fromMemory struct{ client.Reader }

func (fromMemory) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	switch o := object.(type) {
	case *metav1.PartialObjectMetadata:
		o.Name, o.Labels = key.Name, map[string]string{canary.EnabledLabel: "true"}
	case *corev1.ConfigMap:
		o.Name, o.Data = key.Name, map[string]string{"LEVEL": "info"}
	case *corev1.Secret:
		return fmt.Errorf("no Secret is in memory")
	}
	return nil
}

// measured adds up what batches took.
type measured struct {
	requests       int
	cpu            time.Duration
	mallocs, bytes uint64
	latencies      []time.Duration
}

func (m *measured) report(b *testing.B, noop measured) {
	per := func(m *measured) float64 { return float64(m.cpu.Microseconds()) / float64(m.requests) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(per(m), "cpu-µs/review")
	b.ReportMetric(per(&noop), "noop-cpu-µs/review")
	b.ReportMetric(per(m)/per(&noop), "cpu-ratio")
	b.ReportMetric(float64(m.mallocs)/float64(m.requests), "allocs/review")
	b.ReportMetric(float64(m.mallocs)/float64(noop.mallocs)*float64(noop.requests)/float64(m.requests), "allocs-ratio")
	b.ReportMetric(float64(m.bytes)/float64(m.requests)/1024, "KiB/review")
	b.ReportMetric(float64(m.bytes)/float64(noop.bytes)*float64(noop.requests)/float64(m.requests), "bytes-ratio")
	for _, p := range []int{50, 99} {
		b.ReportMetric(m.percentile(p), fmt.Sprintf("p%d-µs", p))
		b.ReportMetric(noop.percentile(p), fmt.Sprintf("noop-p%d-µs", p))
		b.ReportMetric(m.percentile(p)/noop.percentile(p), fmt.Sprintf("p%d-ratio", p))
	}
}

func (m *measured) percentile(p int) float64 {
	slices.Sort(m.latencies)
	return float64(m.latencies[len(m.latencies)*p/100].Microseconds())
}

// startFloor starts a webhook of controller-runtime that allows everything, and returns its address.
func startFloor(b *testing.B) string {
	_, leaf := issue(b)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	_, digits, err := net.SplitHostPort(free.Addr().String())
	require.NoError(b, err)
	require.NoError(b, free.Close())
	port, err := strconv.Atoi(digits)
	require.NoError(b, err)
	floor := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf, nil }
	}}})
	floor.Register("/noop", &admission.Webhook{Handler: admission.HandlerFunc(
		func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })})
	runServer(b, floor.Start)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// loadClient is the client process.
type loadClient struct {
	in  io.Writer
	out *bufio.Scanner
}

// job is a line to the client process, and its answer is the latencies in a line.
type job struct {
	URL, File string
	Requests  int
}

const clientEnv = "SLUICE_BENCH_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientEnv) != "" {
		if err := clientProcess(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	log.SetLogger(logr.Discard())
	seed.Fix()
	os.Exit(m.Run())
}

func startClient(b *testing.B) *loadClient {
	executable, err := os.Executable()
	require.NoError(b, err)
	command := exec.Command(executable)
	command.Env = append(os.Environ(), clientEnv+"=1")
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	require.NoError(b, err)
	out, err := command.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, command.Start())
	b.Cleanup(func() {
		_ = in.Close() // ends the process
		_ = command.Wait()
	})
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 16<<20)
	return &loadClient{in: in, out: scanner}
}

// run lets the client send a batch, and adds what the server took for it.
func (c *loadClient) run(b *testing.B, url, file string, requests int, m *measured) {
	line, err := json.Marshal(job{URL: url, File: file, Requests: requests})
	require.NoError(b, err)
	runtime.GC() // whose garbage it is
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := processCPU(b)
	_, err = c.in.Write(append(line, '\n'))
	require.NoError(b, err)
	require.True(b, c.out.Scan(), "the client process ended")
	m.cpu += processCPU(b) - cpu
	runtime.ReadMemStats(&after)
	var latencies []time.Duration
	require.NoError(b, json.Unmarshal(c.out.Bytes(), &latencies), c.out.Text())
	m.requests += requests
	m.latencies = append(m.latencies, latencies...)
	m.mallocs += after.Mallocs - before.Mallocs
	m.bytes += after.TotalAlloc - before.TotalAlloc
}

func processCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// clientProcess sends batches, one request after the other on a kept connection.
func clientProcess(in io.Reader, out io.Writer) error {
	client := http.Client{Transport: &http.Transport{
		// Whom it talks to is known; HTTP/2 stays off where TLSClientConfig is set.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	jobs := bufio.NewScanner(in)
	for jobs.Scan() {
		var j job
		if err := json.Unmarshal(jobs.Bytes(), &j); err != nil {
			return err
		}
		body, err := os.ReadFile(j.File)
		if err != nil {
			return err
		}
		latencies := make([]time.Duration, 0, j.Requests)
		for range j.Requests {
			start := time.Now()
			if err := send(&client, j.URL+"?timeout=5s", body); err != nil {
				return err
			}
			latencies = append(latencies, time.Since(start))
		}
		if err := json.NewEncoder(out).Encode(latencies); err != nil {
			return err
		}
	}
	return jobs.Err()
}

func send(client *http.Client, url string, body []byte) error {
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
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
