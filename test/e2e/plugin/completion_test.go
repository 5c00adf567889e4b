package plugin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKubectlCompletesTheArgumentsOfThePlugin(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	complete := func(args ...string) []string {
		t.Helper()
		cmd := command(t.Context(), "alice", append([]string{"__complete", "sluice", "-n", n.Name}, args...)...)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	require.Equal(t, []string{"deployment/web", ":4"}, complete("status", "deployment/"))
	require.Equal(t, []string{":4"}, complete("promote", "deployment/"), "there is no release")
	n.SetImage("web", v2)
	require.Equal(t, []string{"web", ":4"}, complete("promote", "deploy", "w"))
	require.Equal(t, []string{"held", "promoted", "aborted", ":4"}, complete("wait", "deploy/web", "--for", ""))
	require.Equal(t, []string{"alice", ":4"}, complete("list", "--context", ""))
}

func TestTheContextDecidesWhereToLook(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	r := must(t, n, "status", "deploy/web", "--context=alice")
	require.Contains(t, r.Stdout, "To promote: kubectl sluice promote deployment/web -n "+n.Name+" --context=alice\n")
	for _, user := range []string{"carol", "admin"} {
		cmd := command(t.Context(), user, "sluice", "list", "--all-namespaces")
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Regexp(t, `(?m)^`+n.Name+` +deployment/web +\d+ +Waiting +1/1 +20% +1/1 +\d+s$`, string(out))
	}
}
