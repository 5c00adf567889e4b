package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice.dev/sluice/test/cluster"
)

// SluiceOptions are what tests change about sluice, and about what it runs in.
type SluiceOptions struct {
	// Flags are added to `sluice dev`.
	Flags []string
	// Cluster are those of the control plane.
	Cluster cluster.Options
}

// Sluice is one process of `sluice dev`.
type Sluice struct {
	cmd  *exec.Cmd
	log  string
	line string // what it said on stdout when it served
	done chan struct{}
	once sync.Once
}

// StartSluice starts sluice and returns when it says that it serves. It replaces the one before, which
// must have ended.
func (e *Env) StartSluice(ctx context.Context) (*Sluice, error) {
	address, err := e.address()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"dev", "--kubeconfig", filepath.Join(e.Dir, "sluice.kubeconfig"), "--url", "https://" + address,
	}, e.opts.Flags...)
	s := &Sluice{cmd: exec.Command(e.binary, args...), log: e.SluiceLog(), done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.start(ctx); err != nil {
		s.Kill()
		return nil, fmt.Errorf("starting sluice: %w\n%s", err, Tail(s.log, 30))
	}
	e.sluice.Store(s)
	return s, nil
}

// Sluice returns the process that was started last.
func (e *Env) Sluice() *Sluice { return e.sluice.Load() }

// SluiceLog returns the path of the log of all sluice processes.
func (e *Env) SluiceLog() string { return filepath.Join(e.Dir, "sluice.log") }

// address returns the same loopback address each time, so that the webhook configurations of a sluice
// that was killed lead to the next one.
func (e *Env) address() (string, error) {
	file := filepath.Join(e.Dir, "address")
	if known, err := os.ReadFile(file); err == nil {
		return string(known), nil
	}
	free, err := cluster.FreeAddress()
	if err != nil {
		return "", err
	}
	return free, os.WriteFile(file, []byte(free), 0o600)
}

func (s *Sluice) start(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "---- %s\n", strings.Join(s.cmd.Args[1:], " "))
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := StartChild(s.cmd); err != nil {
		return err
	}
	said := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			said <- lines.Text()
		}
		_, _ = io.Copy(io.Discard, out)
		_ = s.cmd.Wait() // how it ended is in its log
		close(s.done)
	}()
	select {
	case s.line = <-said:
		return nil
	case <-s.done:
		return errors.New("it ended")
	case <-ctx.Done():
		return fmt.Errorf("it does not say that it serves: %w", ctx.Err())
	}
}

// Kill ends sluice with SIGKILL and returns when it is gone.
func (s *Sluice) Kill() {
	s.once.Do(func() {
		if s.cmd.Process != nil {
			_ = s.cmd.Process.Kill() // an error says that it has ended
			<-s.done
		}
	})
}

// Stop asks sluice to end, as Ctrl-C does, and returns what it wrote to stderr meanwhile.
func (s *Sluice) Stop(ctx context.Context) (string, error) {
	before, err := os.Stat(s.log)
	if err != nil {
		return "", err
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return "", fmt.Errorf("stopping sluice: %w", err)
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for sluice to end: %w\n%s", ctx.Err(), Tail(s.log, 30))
	}
	content, err := os.ReadFile(s.log)
	return string(content[before.Size():]), err
}

// PID returns its process id.
func (s *Sluice) PID() int { return s.cmd.Process.Pid }

// Line returns what sluice said on stdout once it served.
func (s *Sluice) Line() string { return s.line }

// Tail returns the last lines of a file.
func Tail(file string, n int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// StartChild starts a process that ends with this one, however this one ends. The kernel ties that to
// the thread that starts the child, so one thread does it and never ends.
func StartChild(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	request := starting{cmd, make(chan error, 1)}
	startThread()
	starts <- request
	return <-request.result
}

type starting struct {
	cmd    *exec.Cmd
	result chan error
}

var (
	starts      = make(chan starting)
	startThread = sync.OnceFunc(func() {
		go func() {
			runtime.LockOSThread()
			for s := range starts {
				s.result <- s.cmd.Start()
			}
		}()
	})
)
