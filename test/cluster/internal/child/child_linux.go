// Package child starts processes that cannot outlive this one, however it
// ends: a return from main, a panic, Ctrl-C or SIGKILL.
//
// The kernel sends a child its parent-death signal when the *thread* that
// started it ends, and Go ends threads as it likes. So every child is started
// by one goroutine that is locked to its thread and never returns: that thread
// ends with the process and not before.
package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

type request struct {
	cmd  *exec.Cmd
	done chan<- error
}

var requests = sync.OnceValue(func() chan<- request {
	queue := make(chan request)
	go func() {
		runtime.LockOSThread()
		for r := range queue {
			r.done <- r.cmd.Start()
		}
	}()
	return queue
})

// Start starts cmd so that SIGKILL ends it when this process ends.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	requests() <- request{cmd, done}
	return <-done
}
