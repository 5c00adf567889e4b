package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run executes sluice as main does, and returns what it printed and its error.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command(console{out: &out, err: &out})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args       []string
		wantOutput string
		wantErrors []string
	}{
		"the version is one line":          {args: []string{"--version"}, wantOutput: "sluice " + version + "\n"},
		"nothing shows the commands":       {wantOutput: "Serve the kubeconfig's cluster from this machine"},
		"an unknown command has a way out": {args: []string{"eject"}, wantErrors: []string{`unknown command "eject"; sluice --help lists the commands`}},
		"a mistyped one is recognised":     {args: []string{"srve"}, wantErrors: []string{`unknown command "srve" (did you mean serve?)`}},
		"an unknown flag has a way out":    {args: []string{"serve", "--colour"}, wantErrors: []string{"unknown flag: --colour; sluice serve --help lists the flags"}},
		"so has one that is no such value": {args: []string{"serve", "--workers=many"}, wantErrors: []string{`invalid argument "many" for "--workers"`, "sluice serve --help"}},
		"an argument that nobody expects":  {args: []string{"dev", "prod"}, wantErrors: []string{`unexpected argument "prod"; sluice dev --help lists the flags`}},
		"serve tells the faults of all at once": {
			args: []string{"serve", "--log-level=loud", "--webhook-port=70000", "--workers=-1", "--health-address=8081", "--certificate-hosts=a_b", "--namespace=A"},
			wantErrors: []string{`--log-level "loud"`, "port 70000 is not between", "workers -1", `--health-address "8081"`, `--certificate-hosts "a_b"`,
				`--namespace "A"`, "sluice serve --help explains the flags"},
		},
		"dev tells the faults of all at once": {
			args:       []string{"dev", "--log-format=xml", "--url=http://127.0.0.1:1", "--listen=here", "--settle-time=2h"},
			wantErrors: []string{`--log-format "xml"`, `--url "http://127.0.0.1:1": want https://HOST:PORT`, `--listen "here": want HOST:PORT`, "settle time 2h0m0s"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			output, err := run(t, tt.args...)

			if len(tt.wantErrors) == 0 {
				require.NoError(t, err)
			}
			for _, want := range tt.wantErrors {
				require.ErrorContains(t, err, want)
			}
			require.Contains(t, output, tt.wantOutput)
			if err != nil {
				require.Empty(t, output, "main prints the error, and nobody else")
			}
		})
	}
}

// closedPort is a loopback port that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func kubeconfig(t *testing.T, address string) string {
	t.Helper()
	content := strings.ReplaceAll(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://ADDRESS", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: shop, context: {cluster: c, user: u}}]
current-context: shop
`, "ADDRESS", address)
	return file(t, content)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestWhatAPersonCanPutRightIsSaidOnceAndClearly(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	takenAddress := taken.Addr().String()
	_, takenPort, _ := net.SplitHostPort(takenAddress)
	unreachable := closedPort(t)
	off := []string{"--health-address=0", "--metrics-address=0"}

	tests := map[string]struct {
		args []string
		want []string
	}{
		"dev: the API server cannot be reached": {
			args: []string{"dev", "--kubeconfig", kubeconfig(t, unreachable)},
			want: []string{"https://" + unreachable, "(shop)", "cannot be reached", "connection refused", "is the cluster up"},
		},
		"serve: the API server cannot be reached": {
			args: append(off, "serve", "--webhook-host=127.0.0.1", "--webhook-port=0", "--kubeconfig", kubeconfig(t, unreachable)),
			want: []string{"https://" + unreachable, "(shop)", "cannot be reached", "connection refused", "is the cluster up"},
		},
		"serve: the webhook's port is taken": {
			args: append(off, "serve", "--webhook-host=127.0.0.1", "--webhook-port", takenPort, "--kubeconfig", kubeconfig(t, unreachable)),
			want: []string{"--webhook-port " + takenAddress + " is in use by another process", "choose another with --webhook-port"},
		},
		"serve: the ports for health and metrics are taken": {
			args: []string{"serve", "--webhook-host=127.0.0.1", "--webhook-port=0", "--kubeconfig", kubeconfig(t, unreachable),
				"--health-address", takenAddress, "--metrics-address", takenAddress},
			want: []string{"--health-address " + takenAddress + " is in use", "--metrics-address " + takenAddress + " is in use"},
		},
		"dev: the port to listen on is taken": {
			args: []string{"dev", "--listen", takenAddress, "--kubeconfig", kubeconfig(t, unreachable)},
			want: []string{"--listen " + takenAddress + " is in use by another process"},
		},
		"the kubeconfig does not exist": {
			args: []string{"dev", "--kubeconfig", "/does/not/exist"},
			want: []string{"kubeconfig /does/not/exist cannot be read: no such file or directory", "--kubeconfig"},
		},
		"the kubeconfig is no kubeconfig": {
			args: []string{"dev", "--kubeconfig", file(t, "clusters: [")},
			want: []string{"cannot be used", "--kubeconfig"},
		},
		"the kubeconfig is empty": {
			args: []string{"dev", "--kubeconfig", file(t, "")},
			want: []string{"names no cluster", "--kubeconfig"},
		},
		"the kubeconfig has no such context": {
			args: []string{"dev", "--context=prod", "--kubeconfig", kubeconfig(t, unreachable)},
			want: []string{`has no context "prod"`, "kubectl config get-contexts"},
		},
		"serve without a cluster around it": {
			args: []string{"serve"},
			want: []string{"this is no pod", "kubectl apply -f manifests/install.yaml", "sluice dev"},
		},
		"the client CA does not exist": {
			args: append(off, "serve", "--webhook-host=127.0.0.1", "--webhook-port=0", "--client-ca=/does/not/exist", "--kubeconfig", kubeconfig(t, unreachable)),
			want: []string{"client CA", "/does/not/exist", "no such file or directory"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			output, err := run(t, ordered(tt.args)...)

			require.Error(t, err)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, output+err.Error(), "goroutine ", "no stack trace")
			require.NotContains(t, err.Error(), "%!", "a formatted sentence")
		})
	}
}

// ordered puts the command before the flags that several cases share.
func ordered(args []string) []string {
	for i, arg := range args {
		if arg == "serve" || arg == "dev" {
			return append(append([]string{arg}, args[:i]...), args[i+1:]...)
		}
	}
	return args
}
