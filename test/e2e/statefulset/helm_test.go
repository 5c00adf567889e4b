package statefulset

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// helms are the two major versions of Helm, with the flag that undoes a failed upgrade.
var helms = map[string]struct{ tool, undo string }{
	"Helm 3": {"helm3", "--atomic"},
	"Helm 4": {"helm4", "--rollback-on-failure"},
}

// chart makes db of three pods.
func chart() string { return filepath.Join("testdata", "charts", "db") }

// helmArgs are those of a Helm command on the release "db" of the chart with these values.
func helmArgs(t *testing.T, command, values string, flags ...string) []string {
	t.Helper()
	path, err := filepath.Abs(chart())
	require.NoError(t, err)
	return append([]string{command, "db", path, "--set", "partition=0," + values}, flags...)
}

// helmer runs a Helm with these arguments.
func helmer(t *testing.T, s harness.Set, tool string) func(command, values string, flags ...string) harness.Result {
	return func(command, values string, flags ...string) harness.Result {
		t.Helper()
		return s.Run(tool, helmArgs(t, command, values, flags...)...)
	}
}

// TestHelm: the chart states a partition of 0, with every upgrade, or none at all.
func TestHelm(t *testing.T) {
	t.Parallel()
	for _, states := range []string{"partition=0", "partition=null"} {
		for name, helm := range helms {
			t.Run(name+", "+states, func(t *testing.T) {
				t.Parallel()
				s := harness.Set{Namespace: env.Namespace(t)}
				helmed := helmer(t, s, helm.tool)
				run := func(command, values string, flags ...string) harness.Result {
					t.Helper()
					return helmed(command, values+","+states, flags...)
				}
				run("install", "image="+v1, "--wait")
				s.WaitComplete()
				held := run("upgrade", "image="+v2)
				release := requireHeld(t, s, 1, v1, v1, v2)
				require.Equal(t, []string{holdWarning(s, release, 1, "1 new pod of 3")}, held.Warnings(), held)
				run("upgrade", "image="+v2)
				require.Equal(t, release, s.Release(), "the same upgrade again changes nothing")
				run("upgrade", "replicas=4,image="+v2)
				s.WaitImages(v1, v1, v2, v1)
				require.EqualValues(t, harness.Closed, s.Partition())
				s.WaitPhase(canary.Waiting, 1)
				stable := s.Pods()
				require.Contains(t, s.Run(helm.tool, "rollback", "db", "1").Stderr, "statefulset/db is back at its stable version")
				s.WaitStable(v1)
				requireKept(t, stable, s.Pods(), "db-0", "db-1")

				run("upgrade", "image="+v2) // nothing was taken from the chart meanwhile: no conflict
				requireHeld(t, s, 1, v1, v1, v2)
				s.Approve()
				s.WaitStable(v2)
				require.Zero(t, s.Partition())
				s.Quiet()
			})
		}
	}
}

// TestWhatHelmAndRolloutStatusSay: with a partition, kubectl and Helm 3 take whatever is below it for done. So
// both are content with a StatefulSet that is held, and neither tells of an abort. Helm 4 reads sluice's
// condition, if it is there by then: it may be content before, or tell of the abort and undo what failed.
func TestWhatHelmAndRolloutStatusSay(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "3s"))}
			run := helmer(t, s, helm.tool)
			requireStatus := func(says string) {
				t.Helper()
				require.Contains(t, s.Kubectl("rollout", "status", "statefulset/db", "--timeout=5s").Stdout, says)
				require.Contains(t, s.Run(helm.tool, "status", "db").Stdout, "STATUS: deployed")
			}
			run("install", "image="+v1, "--wait")
			s.WaitComplete()
			run("upgrade", "image="+v2, "--wait", "--timeout=30s")
			requireHeld(t, s, 1, v1, v1, v2)
			requireStatus("partitioned roll out complete: 1 new pods have been updated")
			s.Approve()
			s.WaitStable(v2)
			requireStatus("partitioned roll out complete: 3 new pods have been updated")
			broken := s.Command("alice", helm.tool, helmArgs(t, "upgrade", "image="+unready, helm.undo, "--timeout=30s")...)
			if broken.Code != 0 && helm.tool == "helm4" {
				require.Contains(t, broken.Stderr, "0 of 1 canary pods were available after 3s")
				s.WaitStable(v2)
				requireStatus("partitioned roll out complete: 3 new pods have been updated")
			} else {
				require.Zero(t, broken.Code, broken)
				s.WaitPhase(canary.Aborted, 1)
				s.WaitImages(v2, v2, v2)
				requireStatus("partitioned roll out complete: 0 new pods have been updated")
			}
		})
	}
}

func TestRolloutUndo(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	stable := s.Pods()
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	require.Contains(t, s.Kubectl("rollout", "undo", "statefulset/db").Stderr, "is back at its stable version")
	s.WaitStable(v1)
	requireKept(t, stable, s.Pods(), "db-0")
	s.SetImage(v2)
	requireHeld(t, s, 1, v1, v2)
	s.Approve()
	s.WaitStable(v2)
	s.Kubectl("rollout", "undo", "statefulset/db")
	requireHeld(t, s, 1, v2, v1)
	s.Approve()
	s.WaitStable(v1)
	s.Quiet()
}

func TestHelmUpgradesForcedByAPutStayHeld(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"helm3": {"--force"}, "helm4": {"--force-replace", "--server-side=false"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t)}
			run := helmer(t, s, name)
			run("install", "image="+v1, flags[1:]...)
			s.WaitComplete()
			for _, image := range []string{v2, v3} {
				run("upgrade", "image="+image, flags...)
				release := requireHeld(t, s, 1, v1, v1, image)
				run("upgrade", "image="+image, flags...)
				require.Equal(t, release, s.Release())
			}
			run("upgrade", "image="+v1, flags...)
			s.WaitStable(v1)
			require.Zero(t, s.Partition())
		})
	}
}
