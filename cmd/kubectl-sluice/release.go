package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// addReleaseFlag adds the flag that binds a command to one release.
func addReleaseFlag(cmd *cobra.Command, release *int64) {
	cmd.Flags().Int64Var(release, "release", 0, "The release that is meant, by its number. By default the one that there is.")
	register(cmd, "release", cobra.NoFileCompletions)
}

// validRelease: 0 is what the flag is when nobody gave it.
func validRelease(cmd *cobra.Command, release int64) error {
	if cmd.Flags().Changed("release") && release < 1 {
		return fmt.Errorf("--release=%d: releases are numbered from 1", release)
	}
	return nil
}
