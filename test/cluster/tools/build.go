package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice.dev/sluice/test/cluster/internal/child"
)

// buildFlags keep the result independent of the checkout's state, and a build from
// changing go.mod and go.sum. With -trimpath nothing that is compiled would be shared
// with the tests.
var buildFlags = []string{"-mod=readonly", "-buildvcs=false"}

// Build builds what is missing or out of date of the programs that every cluster
// needs and of those named, one program at a time, and reports the progress to
// log. Two processes never build at once: the second waits and then finds the
// work done.
func (c *Cache) Build(ctx context.Context, log io.Writer, names ...string) error {
	return c.buildThose(ctx, log, func(t Tool) bool { return !t.OnDemand || slices.Contains(names, t.Name) })
}

// BuildEverything builds likewise, and all those that are built on demand.
func (c *Cache) BuildEverything(ctx context.Context, log io.Writer) error {
	return c.buildThose(ctx, log, func(Tool) bool { return true })
}

func (c *Cache) buildThose(ctx context.Context, log io.Writer, wanted func(Tool) bool) error {
	plans, err := c.plans(ctx, wanted)
	if err != nil {
		return err
	}
	if len(c.stale(plans)) == 0 {
		return nil
	}
	if err := c.create(); err != nil {
		return err
	}
	unlock, err := c.lock(ctx, log)
	if err != nil {
		return err
	}
	defer unlock()
	return c.buildAll(ctx, c.stale(plans), log)
}

func (c *Cache) buildAll(ctx context.Context, stale []plan, log io.Writer) error {
	if len(stale) > 1 {
		fmt.Fprintf(log, "cluster: building %d programs into %s\n", len(stale), c.Dir)
		fmt.Fprintln(log, "cluster: the first time takes up to twenty minutes on 2 cores; later ones take seconds")
	}
	for i, p := range stale {
		fmt.Fprintf(log, "cluster: building %s %s (%d of %d)\n", p.Name, p.version, i+1, len(stale))
		begun := c.now()
		if err := c.build(ctx, p); err != nil {
			return err
		}
		fmt.Fprintf(log, "cluster: built %s in %s\n", p.Name, c.now().Sub(begun).Round(100*time.Millisecond))
	}
	return nil
}

// build leaves the program and then its stamp, so that an interrupted build is
// repeated. The rename lets a running program keep its old file.
func (c *Cache) build(ctx context.Context, p plan) error {
	unfinished := c.Path(p.Name) + ".unfinished"
	args := append([]string{"build", "-C", c.programs}, buildFlags...)
	args = append(args, "-ldflags", p.linkFlags, "-o", unfinished, p.Package)
	if err := run(ctx, "go", args); err != nil {
		return fmt.Errorf("building %s: %w", p.Name, err)
	}
	if err := os.Rename(unfinished, c.Path(p.Name)); err != nil {
		return fmt.Errorf("keeping %s: %w", p.Name, err)
	}
	if err := os.WriteFile(c.stampFile(p.Name), []byte(p.stamp), 0o644); err != nil {
		return fmt.Errorf("stamping %s: %w", p.Name, err)
	}
	return nil
}

// run runs a command; its error holds the command line and what it printed.
func run(ctx context.Context, name string, args []string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	// Static, whatever C compiler is here; and no flags or workspace of the user's.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// Interrupted, go waits for its compilers; killed, it would leave them.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	err := child.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w\n$ %s\n%s", err, commandLine(cmd.Args), output.String())
	}
	return nil
}

// commandLine returns a command as one could type it.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if strings.ContainsAny(arg, " '\"$") {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return "CGO_ENABLED=0 GOFLAGS= GOWORK=off " + strings.Join(quoted, " ")
}
