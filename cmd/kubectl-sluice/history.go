package main

import (
	"github.com/spf13/cobra"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

func historyCommand(p *plugin) *cobra.Command {
	var out output
	cmd := p.workloadCommand("history", "Show the versions of a workload and who drove its release", false)
	cmd.Long = "Show the versions of a workload that the cluster still knows, the newest first, and who wrote and\n" +
		"approved the release. REVISION is the native controller's number; a canary has none until it is\n" +
		"adopted. CONFIG tells the content of ConfigMaps and Secrets apart that versions were started with."
	cmd.Example = "  kubectl sluice history deploy/web"
	out.addFlag(cmd, asJSON, asYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.validate(); err != nil {
			return err
		}
		c, ref, err := p.workload(args)
		if err != nil {
			return err
		}
		snapshot, err := workload.NewReader(c.client).History(cmd.Context(), ref)
		if err != nil {
			return err
		}
		history := report.History(snapshot)
		if out.structured() {
			return out.write(p.streams.Out, history)
		}
		lines, err := screen.History(history, p.clock.Now())
		if err != nil {
			return err
		}
		return p.terminal().Print(lines...)
	}
	return cmd
}
