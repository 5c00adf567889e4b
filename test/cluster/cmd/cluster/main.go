// Command cluster runs the test cluster by hand.
//
//	cluster up    starts one that stays until down
//	cluster down  ends it and removes its data
//	cluster env   prints what a shell evaluates to use it
//	cluster tools only builds the programs
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"sluice.dev/sluice/test/cluster/tools"
)

const usage = `usage: cluster up [--dir DIR]                start a cluster that stays until down
       cluster down [--dir DIR]              end it and remove its data
       cluster env [--dir DIR] [--user NAME] print what a shell evaluates to use it
       cluster tools                         only build the programs
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 1 for what failed, 2 for a command line that
// means nothing.
func run(ctx context.Context, args []string, out, problems io.Writer) int {
	commands := map[string]func(context.Context, arguments, io.Writer) error{
		"up": up, "down": down, "env": env, "tools": build,
	}
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		fmt.Fprint(out, usage)
		return 0
	}
	if len(args) == 0 {
		fmt.Fprintf(problems, "cluster: a command is missing\n%s", usage)
		return 2
	}
	command, found := commands[args[0]]
	if !found {
		fmt.Fprintf(problems, "cluster: unknown command %q\n%s", args[0], usage)
		return 2
	}
	a, err := parse(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(problems, "cluster: %v\n%s", err, usage)
		return 2
	}
	if err := command(ctx, a, out); err != nil {
		fmt.Fprintf(problems, "cluster: %v\n", err)
		return 1
	}
	return 0
}

// arguments are those of all commands together.
type arguments struct {
	dir   string // absolute
	user  string
	given string // how to repeat --dir on the next command line
}

func parse(command string, args []string) (arguments, error) {
	var a arguments
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if command != "tools" {
		flags.StringVar(&a.dir, "dir", "", "")
	}
	if command == "env" {
		flags.StringVar(&a.user, "user", "admin", "")
	}
	if err := flags.Parse(args); err != nil {
		return arguments{}, fmt.Errorf("%s: %w", command, err)
	}
	if flags.NArg() > 0 {
		return arguments{}, fmt.Errorf("%s: unexpected argument %q", command, flags.Arg(0))
	}
	return a, a.resolve()
}

// resolve makes the folder absolute, or the default one in the cache.
func (a *arguments) resolve() error {
	if a.dir == "" {
		cache, err := tools.Open()
		if err != nil {
			return err
		}
		a.dir = filepath.Join(cache.Dir, "up")
		return nil
	}
	dir, err := filepath.Abs(a.dir)
	if err != nil {
		return fmt.Errorf("finding the folder: %w", err)
	}
	a.dir, a.given = dir, " --dir "+quote(dir)
	return nil
}
