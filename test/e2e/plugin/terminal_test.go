package plugin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// ctrlC is what the key sends; the terminal makes a signal of it.
const ctrlC = "\x03"

// start runs a command of alice's in a terminal of this size.
func start(t *testing.T, rows, columns uint16, env []string, args ...string) *terminal {
	t.Helper()
	cmd := command(t.Context(), "alice", args...)
	cmd.Env = append(cmd.Env, env...)
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: columns})
	require.NoError(t, err)
	tty := newTerminal(t, cmd, file, int(rows))
	t.Cleanup(func() { _ = file.Close() }) // the test is over, and with it the command
	return tty
}

func held(t *testing.T, steps string) *harness.Namespace {
	t.Helper()
	n := env.Namespace(t, harness.Steps(steps))
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	return n
}

func TestATerminalShowsColours(t *testing.T) {
	t.Parallel()
	n := held(t, "20%")
	status := []string{"sluice", "status", "deploy/web", "-n", n.Name}
	coloured := start(t, 50, 160, nil, status...)
	require.Zero(t, coloured.exited())
	require.Contains(t, coloured.raw(), "\x1b[33mPhase:       Waiting for ")
	require.Contains(t, coloured.raw(), "\x1b[1m*         1      20%")
	goldenText(t, n, "terminal-status", coloured.screen())

	plain := start(t, 50, 160, []string{"NO_COLOR=1"}, status...)
	require.Zero(t, plain.exited())
	require.NotContains(t, plain.raw(), "\x1b")
	goldenText(t, n, "terminal-status", plain.screen())

	dumb := start(t, 50, 160, []string{"TERM=dumb"}, status...)
	require.Zero(t, dumb.exited())
	require.NotContains(t, dumb.raw(), "\x1b")
}

func TestATerminalIsDrawnInPlace(t *testing.T) {
	t.Parallel()
	n := held(t, "20%, 100%")
	tty := start(t, 50, 160, nil, "sluice", "status", "deploy/web", "--watch", "-n", n.Name)
	tty.shows(n, "Step 1 of 2 waits for approval.")
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	tty.shows(n, "Step 2 of 2 waits for approval.")
	n.WaitPhase("web", canary.Waiting, 2)
	tty.shows(n, "canary     web-", "4/4")
	require.Equal(t, 1, strings.Count(tty.screen(), "Name:        deployment/web"), "one picture over the other")
	goldenText(t, n, "terminal-watch", tty.screen())
	tty.press(ctrlC)
	require.Equal(t, 130, tty.exited())
	require.NotContains(t, tty.screen(), "error")
}

func TestASmallTerminalKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	n := held(t, "20%")
	tty := start(t, 18, 60, nil, "sluice", "status", "deploy/web", "-w", "-n", n.Name)
	tty.shows(n, "Step 1 of 1 waits for approval.", "To promote: kubectl sluice promote deployment/web")
	goldenText(t, n, "terminal-small", tty.screen())
	tty.press(ctrlC)
	require.Equal(t, 130, tty.exited())
}

func TestAWarningReachesTheTerminal(t *testing.T) {
	t.Parallel()
	n := held(t, "20%")
	n.Mark("web", watch.Approved)
	tty := start(t, 24, 200, nil, "sluice", "promote", "deploy/web", "-n", n.Name)
	require.Zero(t, tty.exited())
	goldenText(t, n, "terminal-promote", tty.screen())
	must(t, n, "wait", "deploy/web", "--for=promoted", "--timeout=60s")
	n.WaitStable("web")
}

func TestWithoutATerminalAWatchAddsLines(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd := command(ctx, "alice", "sluice", "status", "deploy/web", "--watch", "-n", n.Name)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := linesOf(out)
	lines.waitFor(t, n, "there is no release")
	n.SetImage("web", v2)
	lines.waitFor(t, n, "step 1 of 1 waits for approval")
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	n.WaitStable("web")
	lines.waitForLast(t, n, "there is no release: the version that runs is the stable one")
	require.NotContains(t, lines.String(), "\x1b")
	stop()
	require.ErrorAs(t, cmd.Wait(), new(*exec.ExitError))
}

// errMissing says what a screen does not show.
func errMissing(what, where string) error { return fmt.Errorf("%q is not in:\n%s", what, where) }

var errRuns = errors.New("it still runs")
