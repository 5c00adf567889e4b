package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shared is the cluster of all tests that do not end one.
var shared *Cluster

// childDir asks the test binary to start a cluster, print its folder and wait
// to be killed.
const childOnly = "SLUICE_CLUSTER_TEST_CHILD"

func TestMain(m *testing.M) {
	c, err := Start(context.Background(), Options{Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv(childOnly) != "" {
		fmt.Println(c.Dir())
		select {}
	}
	shared = c
	code := m.Run()
	if err := c.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// kubectl runs it as a user of the shared cluster and returns what it prints.
func kubectl(t *testing.T, user string, args ...string) string {
	t.Helper()
	out, err := tryKubectl(user, "", args...)
	require.NoError(t, err, out)
	return out
}

func tryKubectl(user, input string, args ...string) (string, error) {
	cmd := exec.Command(shared.Tool("kubectl"), append([]string{"--kubeconfig", shared.Kubeconfig(user)}, args...)...)
	cmd.Env = []string{"HOME=" + shared.Dir()}
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// namespace creates one that is deleted after the test.
func namespace(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "", "'", "").Replace(t.Name()))
	name = strings.Trim(name[:min(len(name), 60)], "-")
	kubectl(t, "admin", "create", "namespace", name)
	t.Cleanup(func() { kubectl(t, "admin", "delete", "namespace", name, "--wait=false") })
	return name
}

func eventually(t *testing.T, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, poll(ctx, done))
}

// expect waits until kubectl prints want.
func expect(t *testing.T, want string, args ...string) {
	t.Helper()
	eventually(t, func() error {
		out, err := tryKubectl("admin", "", args...)
		if err != nil || out != want {
			return fmt.Errorf("kubectl %s: got %q, want %q (%w)", strings.Join(args, " "), out, want, err)
		}
		return nil
	})
}
