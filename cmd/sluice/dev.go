package main

import (
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/cmd/sluice/dev"
	"sluice.dev/sluice/cmd/sluice/logging"
	"sluice.dev/sluice/cmd/sluice/server"
)

// devShutdownDelay is how long dev serves on after its webhooks were deleted:
// API servers see that within moments.
const devShutdownDelay = time.Second

// devCommand serves a cluster from a developer's machine.
func devCommand(c console) *cobra.Command {
	logs := logging.Defaults()
	logs.Format = logging.Text
	serving := server.Defaults()
	serving.Webhook.ShutdownDelay = devShutdownDelay
	serving.Controllers.LeaderElect = false // package dev says why
	serving.Probes = server.ProbeOptions{Health: server.Off, Metrics: server.Off}
	var opts dev.Options
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Serve the kubeconfig's cluster from this machine, until Ctrl-C",
		Long: "dev installs sluice's permissions and webhooks into the cluster that the kubeconfig\n" +
			"names, points the webhooks at this process, and serves until Ctrl-C; then it takes\n" +
			"out what it installed. It acts as the ServiceAccount sluice, with the permissions\n" +
			"that an installed sluice has.",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validate(cmd, &logs, &serving, &opts); err != nil {
				return err
			}
			return dev.Run(logged(cmd.Context(), logs, c.err), opts, serving, dev.Console{Out: c.out, Err: c.err})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	opts.AddFlags(flags)
	flags.StringVar(&serving.Namespace, "namespace", serving.Namespace, "namespace that sluice is given")
	serving.Ownership.AddFlags(flags)
	serving.Controllers.AddFlags(flags)
	serving.Probes.AddFlags(flags)
	logs.AddFlags(flags)
	return cmd
}
