package harness

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"sluice.dev/sluice/test/cluster"
)

// Proxy stands between sluice and the API server. It sees every request of sluice's own ServiceAccount,
// so that a test can count what sluice writes and end it right after a write was stored, before sluice
// learns of it.
type Proxy struct {
	server *httptest.Server
	admin  string // token of whoever runs `sluice dev`, who installs; all else is sluice itself

	mu     sync.Mutex
	reads  map[string]int // by namespace
	writes []Write
	crash  map[string]*crash // by namespace
	holds  []*hold
	faults map[string]func(Write) Fault // by namespace

	watches watches
}

// crash is called after the n-th write to a namespace from now on.
type crash struct {
	left int
	call func()
}

// errCrashed keeps the answer to the write after which sluice was ended from it.
var errCrashed = errors.New("sluice was killed right after this write")

func startProxy(c *cluster.Cluster) (*Proxy, error) {
	target, err := url.Parse(c.URL())
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's address: %w", err)
	}
	ca, err := os.ReadFile(c.CAFile())
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	p := &Proxy{admin: "Bearer " + c.Token("admin"), reads: map[string]int{}, crash: map[string]*crash{}, faults: map[string]func(Write) Fault{},
		watches: watches{open: map[int]openWatch{}, expired: map[string]bool{}}}
	p.server = httptest.NewUnstartedServer(p.handler(target, &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 100,
	}))
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = nil
	p.server.StartTLS()
	return p, nil
}

func (p *Proxy) handler(target *url.URL, transport http.RoundTripper) http.Handler {
	reverse := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
		},
		Transport:      transport,
		FlushInterval:  -1, // watches
		ModifyResponse: p.observe,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if errors.Is(err, errLost) {
				refuse(w, Lost)
				return
			}
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			p.countRead(r)
		} else if r.Body != nil {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r = r.WithContext(withBody(r.Context(), string(body)))
			p.wait(r)
		}
		r, answered := p.interfere(w, r)
		if answered {
			return
		}
		r, done, answered := p.watch(w, r)
		defer done()
		if !answered {
			reverse.ServeHTTP(w, r)
		}
	})
}

func (p *Proxy) countRead(r *http.Request) {
	namespace, resource := parsePath(r.URL.Path)
	if resource == "namespaces" {
		namespace = path.Base(r.URL.Path)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads[namespace]++
}

// Reads counts sluice's reads in a namespace, and of it, until now.
func (p *Proxy) Reads(namespace string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads[namespace]
}

// observe records the write that a response is for, and crashes sluice where that was asked for.
func (p *Proxy) observe(response *http.Response) error {
	r := response.Request
	stoppable(response)
	if r.Method == http.MethodGet || response.StatusCode >= 300 || r.Header.Get("Authorization") == p.admin ||
		r.URL.Query().Has("dryRun") {
		return nil
	}
	w := writeOf(r)
	if slices.Contains(notStored, w.Resource) {
		return nil
	}
	p.mu.Lock()
	p.writes = append(p.writes, w)
	call := p.due(w)
	p.mu.Unlock()
	switch {
	case call != nil:
		call()
		return errCrashed
	case lost(r.Context()):
		return errLost
	}
	return nil
}

// notStored are resources that store nothing, and the lease, which says who leads.
var notStored = []string{"subjectaccessreviews", "tokenreviews", "token", "leases"}

func (p *Proxy) due(w Write) func() {
	c := p.crash[w.Namespace]
	if c == nil || w.Resource == "events" {
		return nil
	}
	if c.left--; c.left > 0 {
		return nil
	}
	delete(p.crash, w.Namespace)
	return c.call
}

// CrashAfter calls f once the n-th write (events aside) to a namespace from now on was stored; sluice
// gets no answer to it. A later call for the namespace replaces an earlier one.
func (p *Proxy) CrashAfter(namespace string, n int, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crash[namespace] = &crash{left: n, call: f}
}

// CrashPending tells whether a CrashAfter has not come to pass, and takes it back.
func (p *Proxy) CrashPending(namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pending := p.crash[namespace] != nil
	delete(p.crash, namespace)
	return pending
}

// Writes returns sluice's writes to a namespace until now, events aside.
func (p *Proxy) Writes(namespace string) []Write {
	p.mu.Lock()
	defer p.mu.Unlock()
	var writes []Write
	for _, w := range p.writes {
		if w.Namespace == namespace && w.Resource != "events" {
			writes = append(writes, w)
		}
	}
	return writes
}

func (p *Proxy) close() { p.server.CloseClientConnections(); p.server.Close() }

// writeKubeconfig writes a kubeconfig of the admin's that leads through the proxy.
func (p *Proxy) writeKubeconfig(file string) error {
	config := api.NewConfig()
	config.Clusters["proxy"] = &api.Cluster{
		Server: p.server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw,
		}),
	}
	config.AuthInfos["admin"] = &api.AuthInfo{Token: strings.TrimPrefix(p.admin, "Bearer ")}
	config.Contexts["e2e"] = &api.Context{Cluster: "proxy", AuthInfo: "admin"}
	config.CurrentContext = "e2e"
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("writing sluice's kubeconfig: %w", err)
	}
	return nil
}
