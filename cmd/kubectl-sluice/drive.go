package main

import (
	"github.com/spf13/cobra"

	"sluice.dev/sluice/cmd/kubectl-sluice/drive"
)

func promoteCommand(p *plugin) *cobra.Command {
	var full bool
	cmd := p.driveCommand("promote", "Approve the current step of a release", func() drive.Verb {
		if full {
			return drive.PromoteFully
		}
		return drive.Promote
	})
	cmd.Long = "Approve the current step of a release, so that it goes on to the next one, or is promoted after\n" +
		"the last. It needs the permission \"promote\" on the workload, and a release that is Waiting."
	cmd.Example = "  kubectl sluice promote deploy/web\n  kubectl sluice promote deploy/web --full --release 5"
	cmd.Flags().BoolVar(&full, "full", false, "Approve all steps that are left as well.")
	return cmd
}

func abortCommand(p *plugin) *cobra.Command {
	cmd := p.driveCommand("abort", "Give up a release: the stable version stays", func() drive.Verb { return drive.Abort })
	cmd.Long = "Give up a release: its pods go away and the stable version stays. The new version stays in the\n" +
		"spec, held, until another one is applied or it is tried again. It needs the permission \"abort\" on\n" +
		"the workload."
	cmd.Example = "  kubectl sluice abort deploy/web"
	return cmd
}

func retryCommand(p *plugin) *cobra.Command {
	cmd := p.driveCommand("retry", "Try an aborted release again, from its first step", func() drive.Verb { return drive.Retry })
	cmd.Long = "Try an aborted release again, from its first step, as a release of its own. It needs the\n" +
		"permission \"promote\" on the workload."
	cmd.Example = "  kubectl sluice retry deploy/web"
	return cmd
}

// driveCommand returns a command that does something with the release of a workload.
func (p *plugin) driveCommand(use, short string, verb func() drive.Verb) *cobra.Command {
	var release int64
	cmd := p.workloadCommand(use, short, true)
	addReleaseFlag(cmd, &release)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := validRelease(cmd, release); err != nil {
			return err
		}
		c, ref, err := p.workload(args)
		if err != nil {
			return err
		}
		done, err := drive.New(c.client).Do(cmd.Context(), verb(), drive.Request{Ref: ref, Target: p.target(ref), Release: release})
		if err != nil {
			return err
		}
		return p.say(ref, done)
	}
	return cmd
}
