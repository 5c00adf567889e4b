package main

import (
	"context"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

func statusCommand(p *plugin) *cobra.Command {
	var out output
	var watch bool
	cmd := p.workloadCommand("status", "Show where the release of a workload stands", false)
	cmd.Long = "Show where the release of a workload stands: its steps, its revisions and their pods, what it\n" +
		"changes in the pod template, why it waits and the command that goes on.\n\n" +
		"-o json and -o yaml print a ReleaseStatus of apiVersion sluice.dev/v1. With --watch, a terminal is\n" +
		"drawn anew in place; anywhere else each change of the state is a line of its own, or a document."
	cmd.Example = "  kubectl sluice status deploy/web\n  kubectl sluice status statefulset db -n shop --watch"
	out.addFlag(cmd, asJSON, asYAML)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "Keep showing it as it changes, until Ctrl-C.")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.validate(); err != nil {
			return err
		}
		c, ref, err := p.workload(args)
		if err != nil {
			return err
		}
		look := func(ctx context.Context) (*report.ReleaseStatus, error) { return p.look(ctx, c, ref) }
		if watch {
			return (&watcher{plugin: p, out: &out, look: look}).run(cmd.Context(), c, ref)
		}
		status, err := look(cmd.Context())
		if err != nil {
			return err
		}
		if out.structured() {
			return out.write(p.streams.Out, status)
		}
		lines, err := screen.Status(status, p.clock.Now(), screen.Full)
		if err != nil {
			return err
		}
		return p.terminal().Print(lines...)
	}
	return cmd
}

func (p *plugin) look(ctx context.Context, c *connection, ref workload.Ref) (*report.ReleaseStatus, error) {
	snapshot, err := workload.NewReader(c.client).Read(ctx, ref)
	if err != nil {
		return nil, err
	}
	return report.Status(snapshot, p.target(ref))
}
