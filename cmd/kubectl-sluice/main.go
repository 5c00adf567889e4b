// Command kubectl-sluice is the kubectl plugin: it shows where releases stand and drives them.
//
// It reads what kubectl could read and writes one annotation of the workload, so it needs no rights
// beyond those and works with whatever kubeconfig, context, namespace and impersonation kubectl is
// given. It is no part of the gate: admission judges what it asks for. Only eject writes more, and past
// sluice: it takes workloads out of it.
//
// A command here parses flags and prints; workload reads, report says what it means, screen shows it,
// drive and eject write, follow and await watch, owners knows who owns fields. Another command is one more
// function in the list of command.go.
//
// # Exit codes
//
//	0    done; for wait: reached
//	1    an error, or a refusal; for owners -f: a plain write of the file would be refused
//	2    wait: the release ended another way
//	3    wait: the time is over
//	130  interrupted
//
// # Completion
//
// kubectl completes a plugin's arguments with an executable kubectl_complete-sluice in the PATH. This
// program is one under that name:
//
//	ln -s "$(command -v kubectl-sluice)" "$HOME/.local/bin/kubectl_complete-sluice"
//
// `kubectl-sluice completion SHELL` prints a script that completes `kubectl-sluice` itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
)

// completer is the name under which kubectl asks for completions.
const completer = "kubectl_complete-sluice"

// interrupted is the exit code after Ctrl-C: 128 and the number of the signal.
const interrupted = 130

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	code := run(ctx, newPlugin(streams, clock.RealClock{}), os.Args)
	stop()
	os.Exit(code)
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, p *plugin, args []string) int {
	root := command(p) //nolint:contextcheck // cobra hands the context to each command and completion
	root.SetArgs(arguments(args))
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return interrupted
	}
	fmt.Fprintln(p.streams.ErrOut, "error:", screen.Escape(err.Error()))
	return codeOf(err)
}

// arguments are those of the program, or those that ask for completions.
func arguments(args []string) []string {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if name == completer {
		return append([]string{cobra.ShellCompRequestCmd}, args[1:]...)
	}
	return args[1:]
}

// codedError is an error with an exit code of its own.
type codedError struct {
	error
	code int
}

func codeOf(err error) int {
	var coded codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return 1
}
