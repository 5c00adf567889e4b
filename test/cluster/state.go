package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what another process needs to find a cluster and to end it. It is
// written before the processes start and after each start.
type state struct {
	Users     []account           `json:"users"`
	Flags     map[string][]string `json:"flags,omitempty"`
	Ports     map[string]int      `json:"ports"`
	Processes map[string]running  `json:"processes"`
}

// account is a user with the token that proves it.
type account struct {
	User
	Token string `json:"token"`
}

// running is a started process and how often its component was started before.
type running struct {
	identity
	Restarts int `json:"restarts"`
}

const stateFile = "cluster.json"

func readState(dir string) (state, error) {
	var s state
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		return state{}, fmt.Errorf("reading the state of the cluster in %s: %w", dir, err)
	}
	return s, nil
}

// write replaces the file by a rename, so that a reader never sees half of it.
func (s state) write(dir string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the state of the cluster: %w", err)
	}
	unfinished := filepath.Join(dir, stateFile+".unfinished")
	if err := os.WriteFile(unfinished, content, 0o600); err != nil {
		return fmt.Errorf("writing the state of the cluster: %w", err)
	}
	if err := os.Rename(unfinished, filepath.Join(dir, stateFile)); err != nil {
		return fmt.Errorf("writing the state of the cluster: %w", err)
	}
	return nil
}

// claim makes dir an empty folder for a cluster: it creates it, or empties
// what a cluster that has ended left there. Anything else in it is refused.
func claim(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("creating the cluster's folder: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the cluster's folder: %w", err)
	}
	s, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not empty and holds no cluster: give an empty folder", dir)
	}
	if err != nil {
		return err
	}
	for name, r := range s.Processes {
		if r.alive() {
			return fmt.Errorf("a cluster already runs in %s: its %s is process %d", dir, name, r.PID)
		}
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("emptying the folder of a former cluster: %w", err)
		}
	}
	return nil
}
