package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// api is as much of an API server as a start needs: sluice's Secrets can be
// created, and there is nothing else.
type api struct {
	forbidden bool

	mu     sync.Mutex
	stored [][]byte // as they came; clients speak JSON here
}

// named is what the client asks for by the last part of the path.
func (a *api) named(name string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, object := range a.stored {
		if bytes.Contains(object, []byte(`"name":"`+name+`"`)) {
			return object
		}
	}
	return nil
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const group, groupVersion = "admissionregistration.k8s.io", "admissionregistration.k8s.io/v1"
	only := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: "v1"}
	resources := map[string][]metav1.APIResource{
		"v1": {{Name: "secrets", Kind: "Secret", Namespaced: true}},
		groupVersion: {
			{Name: "mutatingwebhookconfigurations", Kind: "MutatingWebhookConfiguration"},
			{Name: "validatingwebhookconfigurations", Kind: "ValidatingWebhookConfiguration"},
		},
	}
	version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	switch found := resources[version]; {
	case r.URL.Path == "/api":
		writeJSON(w, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}, Versions: []string{"v1"}})
	case r.URL.Path == "/apis":
		writeJSON(w, http.StatusOK, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"},
			Groups: []metav1.APIGroup{{Name: group, Versions: []metav1.GroupVersionForDiscovery{only}, PreferredVersion: only}}})
	case found != nil:
		writeJSON(w, http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
			GroupVersion: version, APIResources: found})
	case a.forbidden:
		writeStatus(w, apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "sluice-hash-key", nil))
	case r.Method == http.MethodPost:
		created, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.stored = append(a.stored, created)
		a.mu.Unlock()
		writeJSON(w, http.StatusCreated, json.RawMessage(created))
	case a.named(path.Base(r.URL.Path)) != nil:
		writeJSON(w, http.StatusOK, json.RawMessage(a.named(path.Base(r.URL.Path))))
	default:
		writeStatus(w, apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "x"))
	}
}

func writeStatus(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.ErrStatus
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	writeJSON(w, int(status.Code), status)
}

func writeJSON(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content)
}

func testOptions(t *testing.T) Options {
	t.Helper()
	opts := Defaults()
	opts.Webhook.Host, opts.Webhook.Port, opts.Webhook.ShutdownDelay = "127.0.0.1", 0, 10*time.Millisecond
	opts.Probes = ProbeOptions{Health: "127.0.0.1:0", Metrics: "127.0.0.1:0"}
	return opts
}

// probed is where the probes of a server that testOptions are for are answered.
func probed(s *Server) string { return "http://" + s.probes.sockets[0].Addr().String() }

func clusterOf(a *api, t *testing.T) Cluster {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return Cluster{Name: "shop", Config: &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}}
}

// get returns the status code, or 0 where nobody answers.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(raw)
}

func handshakes(address string) bool {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // who answers is what is asked, not who it is
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func TestRun(t *testing.T) {
	opts := testOptions(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said []string
	var running *Server
	running, err := New(clusterOf(&api{}, t), opts, Hooks{
		Serving: func(context.Context) error {
			code, body := get(t, probed(running)+"/readyz")
			require.Equal(t, http.StatusOK, code, body)
			code, body = get(t, "http://"+running.probes.sockets[1].Addr().String()+"/metrics")
			require.Equal(t, http.StatusOK, code)
			require.Contains(t, body, "sluice_admission_panics_total 0")
			require.True(t, handshakes(running.Address()))
			said = append(said, "serving")
			stop()
			return nil
		},
		Leaving: func(ctx context.Context) {
			require.NoError(t, ctx.Err(), "there is time to say goodbye")
			require.True(t, handshakes(running.Address()), "it serves until the hook is done")
			said = append(said, "leaving")
		},
	})
	require.NoError(t, err)

	require.NoError(t, running.Run(ctx))

	require.Equal(t, []string{"serving", "leaving"}, said)
	require.False(t, handshakes(running.Address()))
	code, _ := get(t, probed(running)+"/healthz")
	require.Zero(t, code)
}

func TestAMissingPermissionEndsTheStartAtOnce(t *testing.T) {
	running, err := New(clusterOf(&api{forbidden: true}, t), testOptions(t), Hooks{})
	require.NoError(t, err)

	err = running.Run(t.Context())

	require.ErrorContains(t, err, "sluice-hash-key")
	require.ErrorContains(t, err, "kubectl apply -f manifests/install.yaml")
}

func TestAHookThatFailsEndsTheRun(t *testing.T) {
	left := false
	running, err := New(clusterOf(&api{}, t), testOptions(t), Hooks{
		Serving: func(context.Context) error { return io.ErrUnexpectedEOF },
		Leaving: func(context.Context) { left = true },
	})
	require.NoError(t, err)

	require.ErrorIs(t, running.Run(t.Context()), io.ErrUnexpectedEOF)

	require.True(t, left)
}
