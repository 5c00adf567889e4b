// Package dev tests sluice dev on a real control plane: what it installs, who it
// acts as, and that it leaves nothing behind, however it ends.
package dev

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sluice.dev/sluice/test/cluster"
	"sluice.dev/sluice/test/e2e/harness"
)

var (
	control *cluster.Cluster // the one control plane; the tests do not run in parallel
	binary  string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // a cold build takes its time
	defer cancel()
	folder, err := os.MkdirTemp("", "sluice-dev-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "sluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/sluice")
	build.Dir, build.Stderr = harness.Root(), os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building sluice:", err)
		return 1
	}
	if control, err = cluster.Start(ctx, cluster.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = control.Stop() }()
	return m.Run()
}
