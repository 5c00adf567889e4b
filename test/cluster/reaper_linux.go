package cluster

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// reaper removes a folder when this process ends, however it ends. It is a
// shell that reads from a pipe which nobody writes to: the kernel closes the
// pipe with us, even after SIGKILL.
type reaper struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// The processes get their SIGKILL at about the same moment as the end of the
// pipe is seen; hence the pauses, or one of them could write into a folder
// that is being removed.
const reaperScript = `trap '' HUP INT TERM
cat >/dev/null
for try in 1 2 3 4 5; do
	rm -rf -- "$1" 2>/dev/null
	[ -e "$1" ] || [ "$try" -lt 3 ] || exit 0
	sleep 0.1
done`

func startReaper(dir string) (*reaper, error) {
	cmd := exec.Command("sh", "-c", reaperScript, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting what removes %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting what removes %s: %w", dir, err)
	}
	return &reaper{cmd, pipe}, nil
}

// finish lets the folder be removed now and returns when that is done.
func (r *reaper) finish() error {
	if err := r.pipe.Close(); err != nil {
		return fmt.Errorf("telling what removes the folder: %w", err)
	}
	return r.cmd.Wait()
}
