package tools

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// plan is what one program is built from, and the stamp that says so.
type plan struct {
	Tool
	version, linkFlags, stamp string
}

// plans returns what every wanted program would be built from now.
func (c *Cache) plans(ctx context.Context, wanted func(Tool) bool) ([]plan, error) {
	compiler, err := compilerOf(ctx)
	if err != nil {
		return nil, err
	}
	plans := make([]plan, 0, len(c.tools))
	for _, tool := range c.tools {
		if !wanted(tool) {
			continue
		}
		p, err := newPlan(tool, c.programs, compiler)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// newPlan reads what tool is built from. Compiler is the Go version and platform.
func newPlan(tool Tool, programs, compiler string) (plan, error) {
	version, err := tool.version(programs)
	if err != nil {
		return plan{}, err
	}
	hash := sha256.New()
	module := os.DirFS(programs)
	err = fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(module, name)
		fmt.Fprintf(hash, "%s %d\n%s", name, len(content), content)
		return err
	})
	if err != nil {
		return plan{}, fmt.Errorf("reading what %s is built from: %w", tool.Name, err)
	}
	link := tool.linkFlags(version)
	fmt.Fprintf(hash, "%s\n%s\n%s\n%s\n", tool.Package, link, strings.Join(buildFlags, " "), compiler)
	return plan{tool, version, link, fmt.Sprintf("%x\n", hash.Sum(nil))}, nil
}

// stale returns those plans whose program is missing or carries another stamp.
func (c *Cache) stale(plans []plan) []plan {
	var stale []plan
	for _, p := range plans {
		stamp, _ := os.ReadFile(c.stampFile(p.Name))
		_, err := os.Stat(c.Path(p.Name))
		if err != nil || string(stamp) != p.stamp {
			stale = append(stale, p)
		}
	}
	return stale
}

func (c *Cache) stampFile(name string) string { return c.Path(name) + ".stamp" }

// compilerOf returns the Go version and the platform that programs are built for.
func compilerOf(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}
