package plugin

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/harness"
)

// terminal is a command in a pseudo-terminal, and the screen that somebody would see.
type terminal struct {
	t    testing.TB
	cmd  *exec.Cmd
	file *os.File
	rows int
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func newTerminal(t testing.TB, cmd *exec.Cmd, file *os.File, rows int) *terminal {
	tty := &terminal{t: t, cmd: cmd, file: file, rows: rows, done: make(chan struct{})}
	go func() {
		_, _ = io.Copy(tty, file) // reading fails once the command has ended
		_ = cmd.Wait()            // its exit code is asked for where it matters
		close(tty.done)
	}()
	return tty
}

// Write takes what the command wrote.
func (tty *terminal) Write(p []byte) (int, error) {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return tty.out.Write(p)
}

func (tty *terminal) raw() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return tty.out.String()
}

func (tty *terminal) press(key string) {
	tty.t.Helper()
	_, err := tty.file.WriteString(key)
	require.NoError(tty.t, err)
}

// exited waits for the end of the command and returns its exit code.
func (tty *terminal) exited() int {
	tty.t.Helper()
	select {
	case <-tty.done:
	case <-tty.t.Context().Done():
		tty.t.Fatal(errRuns)
	}
	return tty.cmd.ProcessState.ExitCode()
}

// shows waits until the screen shows all of these parts.
func (tty *terminal) shows(n *harness.Namespace, parts ...string) {
	tty.t.Helper()
	n.Eventually("the terminal shows it", func(context.Context) error {
		for _, part := range parts {
			if screen := tty.screen(); !strings.Contains(screen, part) {
				return errMissing(part, screen)
			}
		}
		return nil
	})
}

// screen is what a terminal shows after what was written to it: it knows line ends, colours, and the
// few sequences by which the plugin draws. What it does not know stays visible.
func (tty *terminal) screen() string {
	s := screen{rows: tty.rows, lines: [][]rune{nil}}
	for text := []rune(tty.raw()); len(text) > 0; {
		text = s.take(text)
	}
	var shown strings.Builder
	for _, line := range s.lines {
		shown.WriteString(string(line) + "\n")
	}
	return strings.TrimRight(shown.String(), "\n") + "\n"
}

type screen struct {
	rows        int
	lines       [][]rune // all that there ever were, those that scrolled away too
	row, column int
}

// take takes the next piece of output and returns the rest.
func (s *screen) take(text []rune) []rune {
	if len(text) > 1 && text[0] == '\x1b' && text[1] == '[' {
		end := slices.IndexFunc(text, func(r rune) bool { return strings.ContainsRune("mAKJH", r) })
		if end < 0 {
			return nil // the rest is still to come
		}
		s.control(text[end], string(text[2:end]))
		return text[end+1:]
	}
	switch text[0] {
	case '\r':
		s.column = 0
	case '\n':
		s.row++
		if s.row == len(s.lines) {
			s.lines = append(s.lines, nil)
		}
	default:
		line := s.lines[s.row]
		s.lines[s.row] = append(append(line[:s.column:s.column], text[0]), line[min(s.column+1, len(line)):]...)
		s.column++
	}
	return text[1:]
}

func (s *screen) control(command rune, argument string) {
	line := s.lines[s.row]
	switch top := max(0, len(s.lines)-s.rows); command { // the cursor does not leave the screen
	case 'A':
		up, _ := strconv.Atoi(argument)
		s.row = max(top, s.row-up)
	case 'K':
		s.lines[s.row] = line[:min(s.column, len(line))]
	case 'J':
		s.lines = append(s.lines[:s.row:s.row], line[:min(s.column, len(line))])
	case 'H':
		s.row, s.column = top, 0
	}
}

// lines collects what a command writes, line by line.
type lines struct {
	mu  sync.Mutex
	all []string
}

func linesOf(out io.Reader) *lines {
	l := &lines{}
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			l.mu.Lock()
			l.all = append(l.all, scanner.Text())
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

func (l *lines) waitFor(t testing.TB, n *harness.Namespace, part string) {
	t.Helper()
	n.Eventually("a line says so", func(context.Context) error {
		if all := l.String(); !strings.Contains(all, part) {
			return errMissing(part, all)
		}
		return nil
	})
}

// waitForLast waits until the last line says so, after a release.
func (l *lines) waitForLast(t testing.TB, n *harness.Namespace, part string) {
	t.Helper()
	n.Eventually("the last line says so", func(context.Context) error {
		all := l.String()
		if last := all[strings.LastIndex(all, "\n")+1:]; !strings.Contains(last, part) {
			return errMissing(part, all)
		}
		return nil
	})
}
