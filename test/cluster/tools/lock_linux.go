package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock takes the cache's lock and returns what releases it. The kernel
// releases it too when the process ends, however it ends.
func (c *Cache) lock(ctx context.Context, log io.Writer) (func(), error) {
	file, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache folder: %w", err)
	}
	release := func() { file.Close() }
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for waiting := false; ; waiting = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return release, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			release()
			return nil, fmt.Errorf("locking the cache folder: %w", err)
		}
		if !waiting {
			fmt.Fprintf(log, "cluster: waiting for another process that builds into %s\n", c.Dir)
		}
		select {
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("waiting for another process that builds into %s: %w", c.Dir, ctx.Err())
		case <-retry.C:
		}
	}
}
