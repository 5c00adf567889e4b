package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandLine(t *testing.T) {
	empty := t.TempDir()
	tests := map[string]struct {
		args         []string
		wantCode     int
		wantOut      string
		wantProblems string
	}{
		"no command is an error with usage": {
			wantCode: 2, wantProblems: "cluster: a command is missing\n" + usage},
		"an unknown command is one error with usage": {
			args: []string{"start"}, wantCode: 2, wantProblems: "cluster: unknown command \"start\"\n" + usage},
		"an unknown flag is one error with usage": {
			args: []string{"up", "--fast"}, wantCode: 2,
			wantProblems: "cluster: up: flag provided but not defined: -fast\n" + usage},
		"a flag of another command is unknown": {
			args: []string{"tools", "--dir", empty}, wantCode: 2,
			wantProblems: "cluster: tools: flag provided but not defined: -dir\n" + usage},
		"an argument too many is refused": {
			args: []string{"down", "now"}, wantCode: 2, wantProblems: "cluster: down: unexpected argument \"now\"\n" + usage},
		"help is no error": {
			args: []string{"--help"}, wantOut: usage},
		"help of a command is no error": {
			args: []string{"up", "-h"}, wantOut: usage},
		"down says when nothing is up": {
			args: []string{"down", "--dir", empty}, wantOut: "cluster: nothing is up in " + empty + "\n"},
		"env says how to start what it needs": {
			args: []string{"env", "--dir", empty}, wantCode: 1,
			wantProblems: "cluster: nothing is up in " + empty + ": start a cluster with " + self + " up --dir '" + empty + "'\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out, problems strings.Builder
			require.Equal(t, test.wantCode, run(context.Background(), test.args, &out, &problems))
			require.Equal(t, test.wantOut, out.String())
			require.Equal(t, test.wantProblems, problems.String())
		})
	}
}

func TestClusterIsUpUntilDown(t *testing.T) {
	dir := t.TempDir() + "/a cluster's folder"
	call := func(args ...string) string {
		var out, problems strings.Builder
		require.Equal(t, 0, run(t.Context(), append(args, "--dir", dir), &out, &problems), problems.String())
		return out.String()
	}
	t.Cleanup(func() {
		run(context.Background(), []string{"down", "--dir", dir}, &strings.Builder{}, &strings.Builder{})
	})

	first := call("up")
	require.Contains(t, first, "cluster: starting in "+dir)
	require.Contains(t, first, "use it:  eval ")
	require.Contains(t, call("up"), "cluster: already up in "+dir)
	shell := exec.Command("sh", "-c", `eval "$1" && kubectl auth whoami -o jsonpath={.status.userInfo.username} && command -v helm3 && command -v helm4`,
		"sh", call("env", "--user", "alice"))
	shell.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
	out, err := shell.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Regexp(t, `^alice/.*/bin/helm3\n/.*/bin/helm4\n$`, string(out))

	require.Equal(t, "cluster: ended, and "+dir+" is removed\n", call("down"))
	require.Equal(t, "cluster: nothing is up in "+dir+"\n", call("down"))
}

func TestUpLeavesSomebodysFolderAlone(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.tex")
	require.NoError(t, os.WriteFile(thesis, nil, 0o600))
	var problems strings.Builder
	require.Equal(t, 1, run(t.Context(), []string{"up", "--dir", dir}, &strings.Builder{}, &problems))
	require.Equal(t, "cluster: "+dir+" is not empty and holds no cluster: give an empty folder\n", problems.String())
	require.FileExists(t, thesis)
}
