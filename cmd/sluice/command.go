package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"sluice.dev/sluice/cmd/sluice/logging"
	"sluice.dev/sluice/manifests"
)

// version is the release; an image build may set it.
var version = manifests.Version

// console is where the commands write.
type console struct {
	out, err io.Writer
}

// command is the tree of sluice's commands. Whoever executes it prints the error.
func command(c console) *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Makes a plain update of a Deployment or StatefulSet safe",
		Long: "sluice makes a plain helm upgrade, kubectl edit, kubectl apply or GitOps sync of a\n" +
			"Deployment or StatefulSet safe: it holds the change, tries it on a few pods, and\n" +
			"promotes those once somebody approves.",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          known,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetVersionTemplate("sluice {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serveCommand(c), devCommand(c))
	return root
}

// known refuses what is no command of sluice.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q%s; %s --help lists the commands", args[0], hint, cmd.CommandPath())
}

// none refuses arguments: everything is a flag.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q; %s --help lists the flags", args[0], cmd.CommandPath())
}

// options is one concern's.
type options interface {
	AddFlags(*pflag.FlagSet)
	Validate() error
}

// validate reports every fault of every concern at once.
func validate(cmd *cobra.Command, concerns ...options) error {
	var faults []error
	for _, concern := range concerns {
		faults = append(faults, concern.Validate())
	}
	err := errors.Join(faults...)
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\n%s --help explains the flags", err, cmd.CommandPath())
}

// logged returns a context that carries the process's log.
func logged(ctx context.Context, opts logging.Options, out io.Writer) context.Context {
	logger := logging.New(opts, out)
	logging.Install(logger)
	return log.IntoContext(ctx, logger)
}
