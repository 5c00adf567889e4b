package harness

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// Result is what a user saw of a command.
type Result struct {
	Command string
	Stdout  string
	Stderr  string
	Code    int
}

// String shows a command and what came of it.
func (r Result) String() string {
	return "$ " + r.Command + "\n" + r.Stdout + r.Stderr
}

// Warnings returns the warnings in what the command wrote to stderr, one line each, as kubectl and Helm
// show them, without what stands before.
func (r Result) Warnings() []string {
	var warnings []string
	for line := range strings.Lines(r.Stderr) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, "warnings.go:"); ok {
			_, line, _ = strings.Cut(text, "] ")
			line = "Warning: " + strings.TrimPrefix(unquoted(line), "Warning: ")
		} else if _, text, ok := strings.Cut(line, "level=WARN msg="); ok {
			line = "Warning: " + unquoted(text)
		}
		if text, ok := strings.CutPrefix(line, "Warning: "); ok {
			warnings = append(warnings, text)
		}
	}
	return warnings
}

// unquoted returns what a log quotes, or a line that has no quotes as it is.
func unquoted(line string) string {
	if text, err := strconv.Unquote(line); err == nil {
		return text
	}
	return line
}

// waysOut are how a refusal says what to do next: a command, or which annotation is to be corrected.
var waysOut = []string{"kubectl ", "apply ", "Apply ", "ask ", "Ask ", "try again", "its policy is not valid: annotation "}

// deadEnd tells whether a webhook refused the request without a way out.
func (r Result) deadEnd() bool {
	_, refusal, refused := strings.Cut(r.Stderr, "denied the request")
	return refused && !slices.ContainsFunc(waysOut, func(way string) bool { return strings.Contains(refusal, way) })
}

// Command runs a tool of the cluster's as a user in this namespace, whatever comes of it.
func (n *Namespace) Command(user, tool string, args ...string) Result {
	n.t.Helper()
	return n.commandEnv(nil, user, tool, args...)
}

func (n *Namespace) commandEnv(env []string, user, tool string, args ...string) Result {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 90*time.Second)
	defer cancel()
	full := append([]string{"--namespace", n.Name}, args...)
	cmd := exec.CommandContext(ctx, n.Env.Cluster.Tool(tool), full...)
	cmd.Env = append([]string{
		"PATH=" + n.Env.Cluster.ToolFolder() + ":" + os.Getenv("PATH"),
		"KUBECONFIG=" + n.Env.Cluster.Kubeconfig(user),
		"HOME=" + filepath.Join(n.home, user), // discovery and Helm's caches
		"TMPDIR=" + n.dir,
	}, env...)
	cmd.Dir = n.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	require.NoError(n.t, ctx.Err(), "%s %v took more than 90 s: %s", tool, args, stderr.String())
	if err != nil {
		require.ErrorAs(n.t, err, new(*exec.ExitError))
	}
	r := Result{
		Command: tool + " " + strings.Join(full, " "),
		Stdout:  stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode(),
	}
	if r.deadEnd() {
		n.t.Errorf("a refusal that does not say what to do next: %s", r)
	}
	return r
}

// Run runs a command as alice, a developer, and requires it to succeed.
func (n *Namespace) Run(tool string, args ...string) Result {
	n.t.Helper()
	r := n.Command("alice", tool, args...)
	require.Zero(n.t, r.Code, r.String())
	return r
}

// Kubectl runs kubectl as alice and requires it to succeed.
func (n *Namespace) Kubectl(args ...string) Result {
	n.t.Helper()
	return n.Run("kubectl", args...)
}

// Refused runs a command and requires it to fail with a message that has all of these parts.
func (n *Namespace) Refused(user string, parts []string, tool string, args ...string) Result {
	n.t.Helper()
	r := n.Command(user, tool, args...)
	require.NotZero(n.t, r.Code, r.String())
	for _, part := range parts {
		require.Contains(n.t, r.Stderr, part, r.Command)
	}
	return r
}

// Edit runs `kubectl edit` with an editor that replaces one text by another.
func (n *Namespace) Edit(object, before, after string) Result {
	n.t.Helper()
	r := n.TryEdit(object, before, after)
	require.Zero(n.t, r.Code, r.String())
	return r
}

// TryEdit runs `kubectl edit` likewise, whatever comes of it.
func (n *Namespace) TryEdit(object, before, after string) Result {
	n.t.Helper()
	editor := n.File("editor", []byte("#!/bin/sh\nexec sed -i 's|"+before+"|"+after+"|' \"$1\"\n"))
	require.NoError(n.t, os.Chmod(editor, 0o700))
	return n.commandEnv([]string{"EDITOR=" + editor}, "alice", "kubectl", "edit", object)
}
