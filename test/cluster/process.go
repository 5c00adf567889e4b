package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice.dev/sluice/test/cluster/internal/child"
)

// Process is one component of the control plane, through all its restarts.
type Process struct {
	name     string
	log      string                               // file
	detached bool                                 // outlives this process
	command  func(restarts int) []string          // argv
	serves   func(ctx context.Context) error      // nil once it answers
	record   func(name string, now running) error // keeps now for others
	mu       sync.Mutex                           // guards what follows
	now      running                              // the latest start
	reaped   chan struct{}                        // closed when our child has ended; nil if it is not ours
	served   bool                                 // it has, so it is to go on
	killed   bool                                 // the latest start was ended by us
	logStart int64                                // where the latest start's output begins
}

// Log returns the path of the file that the process writes its log to.
func (p *Process) Log() string { return p.log }

// PID returns the process id of the latest start, whether it still runs or not.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.PID
}

// Running tells whether the process exists; a paused one does.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.alive()
}

// Pause stops the process from doing anything, as a host that hangs does: its
// connections stay open and nothing answers.
func (p *Process) Pause() error { return p.send(syscall.SIGSTOP, "pausing") }

// Resume lets a paused process continue.
func (p *Process) Resume() error { return p.send(syscall.SIGCONT, "resuming") }

func (p *Process) send(s syscall.Signal, doing string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.now.signal(s); err != nil {
		return fmt.Errorf("%s %s: %w", doing, p.name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and returns when it is gone. Killing one
// that has ended is no error.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kill()
}

func (p *Process) kill() error {
	p.killed = true
	if err := p.now.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", p.name, err)
	}
	// No context: what ends a test must not depend on what the test waits for.
	err := until(time.After(10*time.Second), func() error {
		if p.now.alive() {
			return errors.New("it still runs")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("killing %s: %w", p.name, err)
	}
	if p.reaped != nil {
		<-p.reaped
	}
	return nil
}

// Restart kills the process if it runs, starts it again with the same flags
// and data, and returns when it serves.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.restart(); err != nil {
		return fmt.Errorf("restarting %s: %w", p.name, err)
	}
	return p.wait(ctx)
}

func (p *Process) restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.kill(); err != nil {
		return err
	}
	return p.start(p.now.Restarts + 1)
}

// begin starts the process for the first time.
func (p *Process) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(0); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	return nil
}

// start starts the process; the caller holds the lock.
func (p *Process) start(restarts int) error {
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening its log: %w", err)
	}
	defer output.Close()
	if info, err := output.Stat(); err == nil {
		p.logStart = info.Size()
	}
	argv := p.command(restarts)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = output, output
	// Nothing of the user's settings: no proxy, no kubeconfig, no home folder. Up to a limit, memory is what a
	// machine has more of than processors.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GOGC=400", "GOMEMLIMIT=3GiB"}
	if err := p.launch(cmd); err != nil {
		return err
	}
	reaped := make(chan struct{})
	p.reaped = reaped
	id, err := identify(cmd.Process.Pid)
	p.now, p.killed = running{identity: id, Restarts: restarts}, false
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(reaped)
		p.revive(reaped)
	}()
	return errors.Join(err, p.record(p.name, p.now))
}

// revive starts a process again that ended by itself after it had served, as a kubelet does with a static
// pod: kube-scheduler ends where it missed what became of a pod while the API server was away.
// One that is detached may have been ended by others.
// Source: k8s.io/kubernetes pkg/scheduler/backend/cache/cache.go, UpdatePod.
func (p *Process) revive(ended chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed || p.detached || !p.served || p.reaped != ended {
		return
	}
	_ = p.start(p.now.Restarts + 1) // whoever waits for it to serve hears that it does not run
}

// launch keeps a detached process from the terminal's signals for good, and
// the others from Ctrl-C, which ends them through their parent.
func (p *Process) launch(cmd *exec.Cmd) error {
	if p.detached {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Start()
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return child.Start(cmd)
}

// wait returns when the process serves. One that ends meanwhile is an error
// with the end of its log, which says why.
func (p *Process) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // a busy machine needs 15 s
	defer cancel()
	err := poll(ctx, func() error {
		err := p.serves(ctx)
		// Asked afterwards: another process that has our port may have answered.
		if !p.Running() {
			return final{fmt.Errorf("it ended:\n%s", p.lastLines())}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served = true
	return nil
}

// lastLines returns the last lines that the latest start wrote.
func (p *Process) lastLines() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(content[min(p.logStart, int64(len(content))):])), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
