package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"sluice.dev/sluice/test/cluster/tools"
)

// Open returns the cluster that another process started in dir, whether it
// still runs or not. Its processes are known by id and start time, so that
// Stop never ends somebody else's.
func Open(dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the cluster's folder: %w", err)
	}
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	cache, err := tools.Open()
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, tools: cache, detached: true, state: s}
	return c, c.connect()
}

// Running tells whether any of the cluster's processes exists.
func (c *Cluster) Running() bool {
	for _, p := range c.processes {
		if p.Running() {
			return true
		}
	}
	return false
}

// Remove stops the cluster and removes its folder with all data and logs.
func (c *Cluster) Remove() error {
	if err := c.Stop(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("removing the cluster's folder: %w", err)
	}
	return nil
}
