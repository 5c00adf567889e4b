package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func procFolder(pid int) string { return fmt.Sprintf("/proc/%d", pid) }

func gone(name string, id identity) error {
	if id.alive() {
		return fmt.Errorf("%s is still process %d", name, id.PID)
	}
	return nil
}

func absent(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s still exists", path)
	}
	return nil
}

// folders lists the temporary folders of clusters.
func folders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "sluice-cluster-*"))
	require.NoError(t, err)
	return found
}

func TestIdentityIsThatOfOneProcessOnly(t *testing.T) {
	sleeper := exec.Command("sleep", "60")
	require.NoError(t, sleeper.Start())
	id, err := identify(sleeper.Process.Pid)
	require.NoError(t, err)
	require.True(t, id.alive())

	successor := id
	successor.Started++ // another process that was given the same id
	require.False(t, successor.alive())
	require.ErrorIs(t, successor.signal(9), os.ErrProcessDone)
	otherBoot := id
	otherBoot.Boot = "before"
	require.False(t, otherBoot.alive())
	require.False(t, identity{}.alive())

	require.True(t, id.alive(), "nobody was killed by mistake")
	require.NoError(t, id.signal(9))
	eventually(t, func() error { return gone("sleep", id) }) // a zombie is gone
	require.Error(t, sleeper.Wait())
	require.ErrorIs(t, id.signal(9), os.ErrProcessDone)
}

func TestClaimTakesOnlyAFolderThatNobodyNeeds(t *testing.T) {
	self, err := identify(os.Getpid())
	require.NoError(t, err)
	write := func(s state) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, s.write(dir)) }
	}
	tests := map[string]struct {
		content func(t *testing.T, dir string)
		wantErr string
	}{
		"a folder that does not exist is created": {
			content: func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir)) }},
		"an empty folder is taken": {
			content: func(*testing.T, string) {}},
		"what a cluster left that has ended is removed": {
			content: write(state{Processes: map[string]running{etcd: {identity: identity{PID: os.Getpid(), Started: 1}}}})},
		"a running cluster is left alone": {
			content: write(state{Processes: map[string]running{etcd: {identity: self}}}),
			wantErr: "a cluster already runs in "},
		"somebody's files are left alone": {
			content: func(t *testing.T, dir string) {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600))
			},
			wantErr: "is not empty and holds no cluster: give an empty folder"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			test.content(t, dir)
			err := claim(dir)
			entries, _ := os.ReadDir(dir)
			if test.wantErr == "" {
				require.NoError(t, err)
				require.DirExists(t, dir)
				require.Empty(t, entries)
				return
			}
			require.ErrorContains(t, err, test.wantErr)
			require.Len(t, entries, 1)
		})
	}
}
