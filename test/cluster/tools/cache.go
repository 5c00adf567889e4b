package tools

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Cache is the folder that the built programs are kept in.
type Cache struct {
	Dir      string // absolute
	programs string // the folder of the nested module
	tools    []Tool
	now      func() time.Time
}

// Open returns the cache of this repository: $SLUICE_CACHE, or .cache/cluster
// in the repository. Nothing is built or written yet.
func Open() (*Cache, error) {
	programs, err := moduleFolder()
	if err != nil {
		return nil, err
	}
	dir := os.Getenv("SLUICE_CACHE")
	if dir == "" {
		dir = filepath.Join(programs, "..", "..", "..", "..", ".cache", "cluster")
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the cache folder: %w", err)
	}
	return &Cache{Dir: dir, programs: programs, tools: All, now: time.Now}, nil
}

// Bin returns the folder of the programs, for PATH.
func (c *Cache) Bin() string { return filepath.Join(c.Dir, "bin") }

// Path returns the absolute path of a program, whether it is built yet or not.
func (c *Cache) Path(name string) string { return filepath.Join(c.Bin(), name) }

// moduleFolder returns the folder of the nested module: the one beside this file,
// or, in a binary built with -trimpath, the one of the repository around the
// working directory.
func moduleFolder() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	if folder := filepath.Join(filepath.Dir(file), "programs"); filepath.IsAbs(folder) && isModule(folder) {
		return folder, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module of the test cluster's programs: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if folder := filepath.Join(dir, "test", "cluster", "tools", "programs"); isModule(folder) {
			return folder, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the module of the test cluster's programs: run this inside the repository")
		}
	}
}

func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

// create makes the cache folder, which git is told to ignore by the folder itself.
func (c *Cache) create() error {
	if err := os.MkdirAll(c.Bin(), 0o755); err != nil {
		return fmt.Errorf("creating the cache folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
		return fmt.Errorf("creating the cache folder: %w", err)
	}
	return nil
}
