// Command krew builds the archives of the kubectl plugin and the manifest by which krew installs them.
//
//	go run ./cmd/kubectl-sluice/krew -out dist
//
// It runs at the root of the repository and publishes nothing. The same sources, Go and version give the
// same archives, byte for byte.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"sluice.dev/sluice/manifests"
)

// manifestTemplate is where the manifest comes from.
const manifestTemplate = "cmd/kubectl-sluice/krew.yaml"

func main() {
	out := flag.String("out", "dist", "folder for the archives and the manifest")
	only := flag.String("platform", "", "the only platform to build for, like linux/amd64; by default all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := release(ctx, *out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "krew:", err)
		stop()
		os.Exit(1)
	}
}

func release(ctx context.Context, out, only string) error {
	wanted, err := selected(only)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(manifestTemplate)
	if err != nil {
		return fmt.Errorf("reading the manifest's template (run this at the root of the repository): %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("creating %s: %w", out, err)
	}
	m := manifest{Version: manifests.Version}
	for _, p := range wanted {
		a, err := build(ctx, p, out)
		if err != nil {
			return err
		}
		fmt.Println(a.SHA256, filepath.Join(out, a.Name))
		m.Archives = append(m.Archives, a)
	}
	filled, err := m.fill(string(text))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "sluice.yaml"), filled, 0o644); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return nil
}

// build makes the archive of one platform.
func build(ctx context.Context, p platform, out string) (archive, error) {
	folder, err := os.MkdirTemp("", "kubectl-sluice-")
	if err != nil {
		return archive{}, fmt.Errorf("creating a folder to build in: %w", err)
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, p.binary())
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./cmd/kubectl-sluice")
	cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return archive{}, fmt.Errorf("building for %s: %w", p, err)
	}
	return p.pack(out, binary, "LICENSE")
}
