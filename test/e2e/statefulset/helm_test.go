package statefulset

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

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

// helmer runs a Helm on the release "db" of the chart with these values.
func helmer(t *testing.T, s harness.Set, tool string) func(command, values string, flags ...string) harness.Result {
	path, err := filepath.Abs(chart())
	require.NoError(t, err)
	return func(command, values string, flags ...string) harness.Result {
		t.Helper()
		return s.Run(tool, append([]string{command, "db", path, "--set", "partition=0," + values}, flags...)...)
	}
}

// TestHelm: the chart states a partition of 0, with every upgrade.
func TestHelm(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Set{Namespace: env.Namespace(t)}
			run := helmer(t, s, helm.tool)
			run("install", "image="+v1, "--wait")
			s.WaitComplete()
			held := run("upgrade", "image="+v2)
			release := requireHeld(t, s, 1, v1, v1, v2)
			require.Contains(t, held.Warnings(), holdWarning(s, release, 1, "1 new pod of 3"))
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

			run("upgrade", "legacy=false,image="+v2) // nothing was taken from the chart meanwhile: no conflict
			requireHeld(t, s, 1, v1, v1, v2)
			s.Abort()
			s.WaitImages(v1, v1, v1)
			run("upgrade", "legacy=false,image="+v3)
			requireHeld(t, s, 1, v1, v1, v3)
			s.Approve()
			s.WaitStable(v3)
			spec := s.Get().Spec.Template.Spec
			require.Len(t, spec.Containers, 1, "a fix resurrects nothing")
			require.Equal(t, []corev1.EnvVar{{Name: "GREETING", Value: "hello"}}, spec.Containers[0].Env)
			require.Zero(t, s.Partition())
			s.Quiet()
		})
	}
}

// TestWhatHelmAndRolloutStatusSay: with a partition, kubectl and Helm take whatever is below it for done. So
// both are content with a StatefulSet that is held, neither undoes anything, and neither tells of an abort.
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
			run("upgrade", "image="+unready, helm.undo, "--timeout=30s")
			s.WaitPhase(canary.Aborted, 1)
			s.WaitImages(v1, v1, v1)
			requireStatus("partitioned roll out complete: 0 new pods have been updated")
			run("upgrade", "image="+v2, "--wait", "--timeout=30s")
			requireHeld(t, s, 1, v1, v1, v2)
			requireStatus("partitioned roll out complete: 1 new pods have been updated")
			s.Approve()
			s.WaitStable(v2)
			requireStatus("partitioned roll out complete: 3 new pods have been updated")
		})
	}
}

func TestRolloutUndoAndRestart(t *testing.T) {
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
	s.Kubectl("rollout", "restart", "statefulset/db")
	s.WaitPhase(canary.Waiting, 1)
	s.Approve()
	s.WaitStable(v1)
	s.Quiet()
}
