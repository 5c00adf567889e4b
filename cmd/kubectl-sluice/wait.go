package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.dev/sluice/cmd/kubectl-sluice/await"
	"sluice.dev/sluice/cmd/kubectl-sluice/screen"
)

// Exit codes of wait.
const (
	codeMissed  = 2
	codeTimeout = 3
)

func waitCommand(p *plugin) *cobra.Command {
	var goal string
	var release int64
	var timeout time.Duration
	cmd := p.workloadCommand("wait", "Wait until a release is held, promoted or aborted", false)
	cmd.Use = "wait " + one + " --for=(" + strings.Join(goals(), "|") + ")"
	cmd.Long = "Wait until a release is held (its pods are available and it waits), promoted or aborted. It waits\n" +
		"for one release: the one that --release names, else the one that there is. Without any, \"promoted\"\n" +
		"is reached once the version in the spec is rolled out.\n\n" +
		"Exit codes: 0 reached; 1 an error; 2 the release ended another way or another took its place;\n" +
		"3 the time is over."
	cmd.Example = "  kubectl sluice wait deploy/web --for=held --timeout=10m\n" +
		"  kubectl sluice wait deploy/web --for=promoted --release 5"
	cmd.Flags().StringVar(&goal, "for", "", "What to wait for. One of: ("+strings.Join(goals(), ", ")+").")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "How long to wait, like 10m; 0 waits without an end.")
	addReleaseFlag(cmd, &release)
	register(cmd, "for", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return goals(), cobra.ShellCompDirectiveNoFileComp
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(goals(), goal) {
			return fmt.Errorf("--for=%s: want one of %s", goal, strings.Join(goals(), ", "))
		}
		if timeout < 0 {
			return fmt.Errorf("--timeout=%s: want 0 or more", timeout)
		}
		if err := validRelease(cmd, release); err != nil {
			return err
		}
		c, ref, err := p.workload(args)
		if err != nil {
			return err
		}
		reached, err := await.Release(cmd.Context(), p.clock, c.client, await.Request{
			Ref: ref, Target: p.target(ref), Goal: await.Goal(goal), Release: release, Timeout: timeout,
		})
		if err != nil {
			return waitError(err)
		}
		return p.terminal().Print(screen.Said(reached))
	}
	return cmd
}

func waitError(err error) error {
	var missed *await.MissedError
	var timeout *await.TimeoutError
	switch {
	case errors.As(err, &missed):
		return codedError{err, codeMissed}
	case errors.As(err, &timeout):
		return codedError{err, codeTimeout}
	}
	return err
}

func goals() []string {
	var words []string
	for _, goal := range await.Goals {
		words = append(words, string(goal))
	}
	return words
}
