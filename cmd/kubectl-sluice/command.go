package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/manifests"
)

// version is the release; a build may set it.
var version = manifests.Version

// command is the tree of commands. Whoever executes it prints the error.
func command(p *plugin) *cobra.Command {
	root := &cobra.Command{
		Use:         "kubectl-sluice",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl sluice"},
		Short:       "Look at releases of Deployments and StatefulSets, and drive them",
		Long: "A new version of a Deployment or StatefulSet is held by sluice as a release: it runs in a few\n" +
			"pods until it is promoted or aborted. These commands show where releases stand and drive them.",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          known,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(p.streams.Out)
	root.SetErr(p.streams.ErrOut)
	root.SetVersionTemplate("kubectl-sluice {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.Flags().Bool("version", false, "Print the version of the plugin.") // without -v, which is kubectl's for logs
	p.flags.AddFlags(root.PersistentFlags())
	p.completeFlags(root)
	root.AddCommand(
		statusCommand(p),
		listCommand(p),
		promoteCommand(p),
		abortCommand(p),
		retryCommand(p),
		historyCommand(p),
		waitCommand(p),
		ejectCommand(p),
		ownersCommand(p),
	)
	explainCompletion(root)
	return root
}

// known refuses what is no command of the plugin.
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

// none refuses arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q; %s --help shows how it is used", args[0], cmd.CommandPath())
}
