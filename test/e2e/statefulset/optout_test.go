package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestASetThatOptsOut(t *testing.T) {
	t.Parallel()
	out := canary.EnabledLabel + "=false"
	t.Run("needs the permission, and then never reaches sluice", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(two().Obj())
		s.Refused("alice", []string{`the verb "bypass" on statefulsets.apps`}, "kubectl", "label", "statefulset/db", out)
		require.Zero(t, s.Command("admin", "kubectl", "label", "statefulset/db", out).Code)
		reviews, reads := len(s.Reviewed()), env.Proxy.Reads(s.Name)
		s.Mark("db", watch.Native)
		require.Empty(t, s.SetImage(v2).Warnings())
		s.WaitStable(v2)
		since := s.Reviewed()[reviews:]
		require.Contains(t, since, harness.Review{Verb: "patch", User: "alice"})
		for _, r := range since {
			require.False(t, r.Called, r)
		}
		require.Equal(t, reads, env.Proxy.Reads(s.Name))
		require.Empty(t, env.Proxy.Writes(s.Name))
	})
	t.Run("from its creation on needs the permission too", func(t *testing.T) {
		t.Parallel()
		s := harness.Set{Namespace: env.Namespace(t)}
		set := two().Obj()
		set.Labels = map[string]string{canary.EnabledLabel: "false"}
		file := s.Manifest(set)
		s.Refused("alice", []string{"needs the verb bypass on statefulsets.apps in namespace " + s.Name}, "kubectl", "create", "-f", file)
		require.Zero(t, s.Command("admin", "kubectl", "create", "-f", file).Code)
		s.WaitComplete()
		for _, r := range s.Reviewed() {
			require.False(t, r.Called, r)
		}
	})
	t.Run("in the middle of a release can still be finished", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(two().Obj())
		s.SetImage(v2)
		release := requireHeld(t, s, 1, v1, v2)
		require.Zero(t, s.Command("admin", "kubectl", "label", "statefulset/db", out).Code)
		require.Equal(t, release, s.Release())
		require.EqualValues(t, harness.Closed, s.Partition())
		s.Approve()
		s.WaitStable(v2)
		s.Mark("db", watch.Native)
		require.Empty(t, s.SetImage(v3).Warnings())
		s.WaitStable(v3)
	})
	t.Run("in the middle of a release can still be aborted", func(t *testing.T) {
		t.Parallel()
		s := env.Namespace(t).CreateSet(two().Obj())
		s.SetImage(v2)
		requireHeld(t, s, 1, v1, v2)
		require.Zero(t, s.Command("admin", "kubectl", "label", "statefulset/db", out).Code)
		s.Abort()
		s.WaitImages(v1, v1)
		require.Contains(t, s.SetImage(v1).Stderr, "is back at its stable version")
		s.WaitStable(v1)
		require.Zero(t, s.Partition())
	})
}

// TestANewVersionWhereItsNamespaceOptedOutGoesNative, and takes the hold with it.
func TestANewVersionWhereItsNamespaceOptedOutGoesNative(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Partition(0).Obj())
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	s.OptOut()
	s.Mark("db", watch.Native)
	require.Contains(t, s.SetImage(v3).Stderr, "statefulset/db rolls out natively, without a canary: ")
	s.WaitStable(v3)
	require.Zero(t, s.Partition())
}
