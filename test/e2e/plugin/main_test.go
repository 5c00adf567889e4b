// Package plugin drives real releases with the kubectl plugin, as people do: through kubectl, in a shell
// and in a terminal. What it shows is kept in testdata, written anew with -update.
package plugin

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2 = "example/app:v1", "example/app:v2"

var (
	// env is the one control plane of this package; each test has a namespace of its own.
	env *harness.Env
	// folder holds the plugin, under its name and the one by which kubectl asks for completions.
	folder string

	update = flag.Bool("update", false, "write the golden files of testdata anew")
)

func TestMain(m *testing.M) {
	os.Exit(harness.Run(m.Run, harness.SluiceOptions{}, func(e *harness.Env) {
		env, folder = e, filepath.Join(e.Dir, "plugin")
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) // the control plane ends with this process
		}
	}))
}

func build() error {
	binary := filepath.Join(folder, "kubectl-sluice")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/kubectl-sluice")
	cmd.Dir = harness.Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building kubectl-sluice: %w\n%s", err, out)
	}
	return os.Symlink(binary, filepath.Join(folder, "kubectl_complete-sluice"))
}

// web is the Deployment of these tests: four pods of v1.
func web() *builders.DeploymentBuilder { return builders.MakeDeployment("web").Replicas(4) }

// command is `kubectl ...` of a user whose kubeconfig says nothing of namespaces.
func command(ctx context.Context, user string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, env.Cluster.Tool("kubectl"), args...)
	cmd.Env = []string{
		"PATH=" + folder + ":" + env.Cluster.ToolFolder() + ":" + os.Getenv("PATH"),
		"KUBECONFIG=" + env.Cluster.Kubeconfig(user),
		"HOME=" + filepath.Join(env.Dir, "home", user),
		"TERM=xterm-256color",
	}
	return cmd
}

// sluice runs `kubectl sluice ARGS -n NAMESPACE` as a user.
func sluice(t *testing.T, n *harness.Namespace, user string, args ...string) harness.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	full := append(append([]string{"sluice"}, args...), "-n", n.Name)
	cmd := command(ctx, user, full...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(t, ctx.Err(), "kubectl %v took more than 90 s: %s", full, stderr.String())
	if err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return harness.Result{
		Command: "kubectl sluice " + fmt.Sprint(args), Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode(),
	}
}

// must runs it as alice, a developer, and requires it to succeed.
func must(t *testing.T, n *harness.Namespace, args ...string) harness.Result {
	t.Helper()
	r := sluice(t, n, "alice", args...)
	require.Zero(t, r.Code, r.String())
	return r
}
