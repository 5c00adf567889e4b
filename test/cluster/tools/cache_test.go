package tools

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// greeter is a tool whose module is small enough to be built in a test.
func greeter(t *testing.T) (*Cache, Tool) {
	t.Helper()
	programs := t.TempDir()
	tool := Tool{
		Name: "greeter", Module: "example.com/library",
		Package: "example.com/greeter", Link: "-X main.version=VERSION",
	}
	put(t, programs, "go.mod", "module example.com/greeter\n\ngo 1.26.0\n\n"+
		"require example.com/library v1.37.2\n\nreplace example.com/library => ./\n")
	put(t, programs, "go.sum", "")
	put(t, programs, "main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n")
	return &Cache{Dir: t.TempDir(), programs: programs, tools: []Tool{tool}, now: fixed}, tool
}

func fixed() time.Time { return time.Unix(0, 0) }

func put(t *testing.T, programs, file, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(programs, file), []byte(content), 0o644))
}

func TestProgramIsStaleExactlyWhenItWouldComeOutDifferent(t *testing.T) {
	tests := map[string]struct {
		change    func(t *testing.T, c *Cache, tool *Tool)
		compiler  string
		wantStale bool
	}{
		"nothing changed": {},
		"another stub": {wantStale: true,
			change: func(t *testing.T, c *Cache, _ *Tool) { put(t, c.programs, "stub.go", "package main\n") }},
		"another version": {wantStale: true,
			change: func(t *testing.T, c *Cache, _ *Tool) {
				put(t, c.programs, "go.mod", "require example.com/library v1.38.0\n")
			}},
		"other sums": {wantStale: true,
			change: func(t *testing.T, c *Cache, _ *Tool) { put(t, c.programs, "go.sum", "example.com/x v1.0.0 h1:x=\n") }},
		"other linker flags": {wantStale: true,
			change: func(_ *testing.T, _ *Cache, tool *Tool) { tool.Link += " -X main.date=today" }},
		"another package": {wantStale: true,
			change: func(_ *testing.T, _ *Cache, tool *Tool) { tool.Package += "/v2" }},
		"another Go": {wantStale: true, compiler: "go1.27.0 linux amd64"},
		"the program was removed": {wantStale: true,
			change: func(t *testing.T, c *Cache, tool *Tool) { require.NoError(t, os.Remove(c.Path(tool.Name))) }},
		"the build was interrupted before the stamp": {wantStale: true,
			change: func(t *testing.T, c *Cache, tool *Tool) { require.NoError(t, os.Remove(c.stampFile(tool.Name))) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, tool := greeter(t)
			const compiler = "go1.26.8 linux amd64"
			built, err := newPlan(tool, c.programs, compiler)
			require.NoError(t, err)
			require.NoError(t, c.create())
			require.Equal(t, []plan{built}, c.stale([]plan{built}), "before the first build")
			require.NoError(t, os.WriteFile(c.Path(tool.Name), nil, 0o755))
			require.NoError(t, os.WriteFile(c.stampFile(tool.Name), []byte(built.stamp), 0o644))

			if test.change != nil {
				test.change(t, c, &tool)
			}
			now, err := newPlan(tool, c.programs, cmp.Or(test.compiler, compiler))
			require.NoError(t, err)
			require.Equal(t, test.wantStale, len(c.stale([]plan{now})) == 1)
		})
	}
}

func TestBuildLinksTheVersionAndReportsProgress(t *testing.T) {
	c, tool := greeter(t)
	var log strings.Builder
	require.NoError(t, c.Build(t.Context(), &log))
	require.Equal(t, "cluster: building greeter v1.37.2 (1 of 1)\ncluster: built greeter in 0s\n", log.String())
	var printed strings.Builder
	require.NoError(t, output(c.Path(tool.Name), &printed))
	require.Equal(t, "v1.37.2\n", printed.String())

	log.Reset()
	require.NoError(t, c.Build(t.Context(), &log))
	require.Empty(t, log.String(), "the second time there is nothing to do")
}

func TestProgramOnDemandIsBuiltForWhoNamesIt(t *testing.T) {
	tests := map[string]struct {
		build     func(c *Cache) error
		wantBuilt bool
	}{
		"every cluster needs others":  {build: func(c *Cache) error { return c.Build(t.Context(), io.Discard) }},
		"who names another":           {build: func(c *Cache) error { return c.Build(t.Context(), io.Discard, "other") }},
		"who names it":                {wantBuilt: true, build: func(c *Cache) error { return c.Build(t.Context(), io.Discard, "greeter") }},
		"who wants whatever there is": {wantBuilt: true, build: func(c *Cache) error { return c.BuildEverything(t.Context(), io.Discard) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, tool := greeter(t)
			tool.OnDemand = true
			c.tools = []Tool{tool}
			require.NoError(t, test.build(c))
			_, err := os.Stat(c.Path(tool.Name))
			require.Equal(t, test.wantBuilt, err == nil)
		})
	}
}

func TestFailedBuildShowsTheCommandAndTheCompilersWords(t *testing.T) {
	c, tool := greeter(t)
	put(t, c.programs, "main.go", "package main\n\nfunc main() { undefinedFunction() }\n")
	err := c.Build(t.Context(), io.Discard)
	require.ErrorContains(t, err, "building greeter: exit status 1")
	require.ErrorContains(t, err, "go build -C "+c.programs+" -mod=readonly -buildvcs=false")
	require.ErrorContains(t, err, "undefined: undefinedFunction")
	require.NoFileExists(t, c.stampFile(tool.Name))
}

func TestBuildWaitsForAnotherThatHoldsTheLock(t *testing.T) {
	c, _ := greeter(t)
	require.NoError(t, c.create())
	unlock, err := c.lock(t.Context(), io.Discard)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var log cancelling
	log.cancel = cancel
	require.ErrorIs(t, c.Build(ctx, &log), context.Canceled)
	require.Contains(t, log.String(), "waiting for another process that builds into "+c.Dir)

	unlock()
	require.NoError(t, c.Build(t.Context(), io.Discard))
}

// cancelling gives up as soon as it is told anything.
type cancelling struct {
	strings.Builder
	cancel func()
}

func (c *cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return c.Builder.Write(p)
}
