package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// BuildPlugin builds the kubectl plugin into a folder of this Env, where Plugin finds it.
func (e *Env) BuildPlugin() error {
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", e.plugin(), "./cmd/kubectl-sluice")
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building kubectl-sluice: %w\n%s", err, out)
	}
	return nil
}

func (e *Env) plugin() string { return filepath.Join(e.Dir, "plugin", "kubectl-sluice") }

// Plugin runs the kubectl plugin as a user in this namespace, whatever comes of it.
func (n *Namespace) Plugin(user string, args ...string) Result {
	n.t.Helper()
	return n.plugin(user, append([]string{"--namespace", n.Name}, args...))
}

// PluginEverywhere runs the kubectl plugin as a user in no namespace.
func (n *Namespace) PluginEverywhere(user string, args ...string) Result {
	n.t.Helper()
	return n.plugin(user, args)
}

func (n *Namespace) plugin(user string, args []string) Result {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.Env.plugin(), args...)
	cmd.Env = []string{"KUBECONFIG=" + n.Env.Cluster.Kubeconfig(user), "HOME=" + filepath.Join(n.home, user), "PATH=" + os.Getenv("PATH")}
	cmd.Dir = n.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(n.t, ctx.Err(), "kubectl sluice %v took too long: %s", args, stderr.String())
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		require.NoError(n.t, err)
	}
	return Result{Command: "kubectl sluice " + fmt.Sprint(args), Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}
