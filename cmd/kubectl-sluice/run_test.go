package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// session is somebody at a shell, with a cluster of what objects hold.
type session struct {
	client *dynamicfake.FakeDynamicClient
	clock  *clocktesting.FakeClock
	out    bytes.Buffer
	err    bytes.Buffer
	// in is typed where somebody can be asked.
	in   string
	asks bool
}

// gatewayScheme is what a cluster knows that has the Gateway API.
func gatewayScheme() *runtime.Scheme {
	all := runtime.NewScheme()
	if err := scheme.AddToScheme(all); err != nil {
		panic(err)
	}
	gateway := schema.GroupVersion{Group: "gateway.networking.k8s.io", Version: "v1"}
	all.AddKnownTypeWithName(gateway.WithKind("HTTPRoute"), &unstructured.Unstructured{})
	all.AddKnownTypeWithName(gateway.WithKind("HTTPRouteList"), &unstructured.UnstructuredList{})
	return all
}

func newSession(objects ...runtime.Object) *session {
	return &session{client: dynamicfake.NewSimpleDynamicClient(gatewayScheme(), objects...), clock: clocktesting.NewFakeClock(now)}
}

// run runs the plugin in the namespace shop and returns its exit code.
func (s *session) run(t *testing.T, args ...string) int {
	t.Helper()
	return s.runContext(t.Context(), t, args...)
}

func (s *session) runContext(ctx context.Context, t *testing.T, args ...string) int {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	s.out.Reset()
	s.err.Reset()
	return run(ctx, s.plugin(&s.out), append([]string{"kubectl-sluice", "--server=https://cluster.example", "--namespace=" + namespace}, args...))
}

func (s *session) plugin(out interface{ Write([]byte) (int, error) }) *plugin {
	p := newPlugin(genericiooptions.IOStreams{In: strings.NewReader(s.in), Out: out, ErrOut: &s.err}, s.clock)
	p.asks = func(io.Reader) bool { return s.asks }
	p.mapper = kinds
	p.dial = func(*rest.Config) (dynamic.Interface, error) { return s.client, nil }
	return p
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "-update writes it")
	require.Equal(t, string(want), got, file)
}
