package main

import (
	"github.com/spf13/cobra"

	"sluice.dev/sluice/cmd/sluice/logging"
	"sluice.dev/sluice/cmd/sluice/server"
)

// serveCommand is what the Deployment runs.
func serveCommand(c console) *cobra.Command {
	logs := logging.Defaults()
	opts := server.Defaults()
	opts.Namespace = server.PodNamespace(opts.Namespace)
	var connection server.Connection
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the admission webhook and run the controllers; what the Deployment runs",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validate(cmd, &logs, &opts); err != nil {
				return err
			}
			cluster, err := connection.InPod()
			if err != nil {
				return err
			}
			running, err := server.New(cluster, opts, server.Hooks{})
			if err != nil {
				return err
			}
			return running.Run(logged(cmd.Context(), logs, c.err))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&opts.Namespace, "namespace", opts.Namespace, "sluice's own namespace")
	connection.AddFlags(flags)
	opts.AddFlags(flags)
	logs.AddFlags(flags)
	return cmd
}
