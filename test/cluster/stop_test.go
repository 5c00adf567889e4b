package cluster

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStopLeavesNoProcessAndNoFolder(t *testing.T) {
	c, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	started := c.state.Processes
	require.Len(t, started, len(components))
	require.NotEqual(t, shared.URL(), c.URL())
	require.NoError(t, c.Stop())
	for name, p := range started {
		require.NoDirExists(t, procFolder(p.PID), name)
	}
	require.NoDirExists(t, c.Dir())
	require.NoError(t, c.Stop(), "stopping again")
}

func TestKilledTestLeavesNoProcessAndNoFolder(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childOnly+"=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dir := strings.TrimSpace(line)
	s, err := readState(dir)
	require.NoError(t, err)
	require.Len(t, s.Processes, len(components))

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	for name, p := range s.Processes {
		eventually(t, func() error { return gone(name, p.identity) })
	}
	eventually(t, func() error { return absent(dir) })
}

func TestFailedStartLeavesNothing(t *testing.T) {
	before := folders(t)
	_, err := Start(t.Context(), Options{Flags: map[string][]string{kwok: {"--no-such-flag"}}})
	require.ErrorContains(t, err, "waiting for kwok: it ended:")
	require.ErrorContains(t, err, "no-such-flag")
	require.Equal(t, before, folders(t))
}

func TestDetachedClusterIsFoundAndEndedByOthers(t *testing.T) {
	dir := t.TempDir() + "/up"
	_, err := Start(t.Context(), Options{Dir: dir, Detached: true})
	require.NoError(t, err)
	c, err := Open(dir)
	require.NoError(t, err)
	require.True(t, c.Running())
	_, err = Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "a cluster already runs in "+dir)

	require.NoError(t, c.Process(kwok).Restart(t.Context()))
	again, err := Open(dir)
	require.NoError(t, err)
	require.NoError(t, again.Remove())
	require.False(t, c.Running())
	require.NoDirExists(t, dir)
}
