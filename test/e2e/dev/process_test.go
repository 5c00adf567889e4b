package dev

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

// process is one sluice dev.
type process struct {
	cmd  *exec.Cmd
	out  buffer
	err  buffer
	done chan struct{}
}

// buffer is written by the process and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs sluice dev as the admin.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{done: make(chan struct{})}
	p.cmd = exec.Command(binary, append([]string{"dev", "--kubeconfig", control.Kubeconfig("admin")}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // its exit code is asked for where it matters
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // an error says that it has ended
		<-p.done
		if t.Failed() {
			t.Logf("sluice dev %v:\n%s%s", args, p.out.String(), p.err.String())
		}
	})
	return p
}

// serves returns when it says so.
func (p *process) serves(t *testing.T) *process {
	t.Helper()
	require.Eventually(t, func() bool { return p.ended() || strings.HasSuffix(p.out.String(), "\n") }, patience, 10*time.Millisecond)
	require.False(t, p.ended(), p.err.String())
	require.Regexp(t, `^sluice serves https://127\.0\.0\.1:\d+ for context admin; Ctrl-C removes it\n$`, p.out.String())
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// fails returns what it said when it ended with exit code 1.
func (p *process) fails(t *testing.T) string {
	t.Helper()
	require.Eventually(t, p.ended, patience, 10*time.Millisecond)
	require.Equal(t, 1, p.cmd.ProcessState.ExitCode())
	require.Empty(t, p.out.String())
	return p.err.String()
}

// interrupt is Ctrl-C; it returns what was said.
func (p *process) interrupt(t *testing.T) string {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Eventually(t, p.ended, patience, 10*time.Millisecond)
	require.Equal(t, 0, p.cmd.ProcessState.ExitCode(), p.err.String())
	return p.err.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it lives: the test has just heard of it
	<-p.done
}
