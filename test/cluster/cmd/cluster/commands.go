package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"sluice.dev/sluice/test/cluster"
	"sluice.dev/sluice/test/cluster/tools"
)

// self is how a person calls this command from the root of the repository.
const self = "go run -C test/cluster ./cmd/cluster"

func up(ctx context.Context, a arguments, out io.Writer) error {
	c, err := cluster.Open(a.dir)
	if err == nil && c.Running() {
		fmt.Fprintf(out, "cluster: already up in %s\n", a.dir)
		howToGoOn(a, out)
		return nil
	}
	fmt.Fprintf(out, "cluster: starting in %s\n", a.dir)
	if _, err := cluster.Start(ctx, cluster.Options{Dir: a.dir, Log: out, Detached: true}); err != nil {
		return errors.Join(err, removeFailed(a.dir))
	}
	howToGoOn(a, out)
	return nil
}

// removeFailed removes what a start that failed has left; its error has told
// what the logs say. A folder that holds something else is left alone.
func removeFailed(dir string) error {
	c, err := cluster.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.Remove()
}

func howToGoOn(a arguments, out io.Writer) {
	fmt.Fprintf(out, `use it:  eval "$(%[1]s env%[2]s)" && kubectl get nodes
end it:  %[1]s down%[2]s
`, self, a.given)
}

func down(_ context.Context, a arguments, out io.Writer) error {
	c, err := cluster.Open(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(out, "cluster: nothing is up in %s\n", a.dir)
		return nil
	}
	if err != nil {
		return err
	}
	if !c.Running() {
		fmt.Fprintf(out, "cluster: nothing is up in %s any more; removing its data\n", a.dir)
		return c.Remove()
	}
	if err := c.Remove(); err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster: ended, and %s is removed\n", a.dir)
	return nil
}

func env(_ context.Context, a arguments, out io.Writer) error {
	c, err := cluster.Open(a.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !c.Running() {
		return fmt.Errorf("nothing is up in %s: start a cluster with %s up%s", a.dir, self, a.given)
	}
	if _, err := os.Stat(c.Kubeconfig(a.user)); err != nil {
		return fmt.Errorf("the cluster has no user %q", a.user)
	}
	fmt.Fprintf(out, "export KUBECONFIG=%s\n", quote(c.Kubeconfig(a.user)))
	fmt.Fprintf(out, "export PATH=%s:\"$PATH\"\n", quote(c.ToolFolder()))
	return nil
}

func build(ctx context.Context, _ arguments, out io.Writer) error {
	cache, err := tools.Open()
	if err != nil {
		return err
	}
	if err := cache.BuildEverything(ctx, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster: the programs are in %s\n", cache.Bin())
	return nil
}

// quote makes text one word of a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
