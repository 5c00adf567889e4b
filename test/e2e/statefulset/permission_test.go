package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestPermissionsAndFourEyes(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Annotation(canary.ApprovalAnnotation, "four-eyes")).CreateSet(two().Obj())
	s.SetImage(v2)
	release := requireHeld(t, s, 1, v1, v2)
	for _, value := range []string{release.ApproveValue(), release.ApproveFullValue()} {
		approve := []string{"annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation + "=" + value}
		s.Refused("alice", []string{"needs somebody else's approval", `"alice" is its author`}, "kubectl", approve...)
		s.Refused("bob", []string{`"bob" may not approve a step of statefulset/db`, `the verb "promote" on statefulsets.apps`}, "kubectl", approve...)
	}
	s.Refused("alice", []string{`the verb "bypass" on statefulsets.apps`}, "kubectl", "annotate", "statefulset/db", canary.CanaryAnnotation+"=disabled")
	s.Refused("alice", []string{`the verb "bypass" on statefulsets.apps`}, "kubectl", "label", "statefulset/db", canary.EnabledLabel+"=false")
	s.Refused("bob", []string{`the verb "abort" on statefulsets.apps`}, "kubectl", "annotate", "statefulset/db", canary.AbortAnnotation+"="+release.Name())
	require.Equal(t, release, s.Release())

	s.Abort()
	aborted := s.WaitPhase(canary.Aborted, 1)
	s.Refused("bob", []string{`"bob" may not retry a release of statefulset/db`, `the verb "promote" on statefulsets.apps`},
		"kubectl", "annotate", "statefulset/db", canary.RetryAnnotation+"="+aborted.Name())
	require.Equal(t, aborted, s.Release())
	s.Retry()
	release = requireHeld(t, s, 1, v1, v2)
	s.Mark("db", watch.Approved)
	require.Zero(t, s.Command("admin", "kubectl", "annotate", "--overwrite", "statefulset/db", canary.ApproveAnnotation+"="+release.ApproveValue()).Code)
	s.WaitStable(v2)
}

// TestSluicesKeysAreOutOfReachOfStatus, which no webhook sees, for whoever holds any permission.
func TestSluicesKeysAreOutOfReachOfStatus(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	s.SetImage(v2)
	release := requireHeld(t, s, 1, v1, v2)
	before := s.Get()
	for patch, says := range map[string]string{
		`{"metadata":{"annotations":{"sluice.dev/release":null}}}`:                             "sluice.dev/release is sluice's own record",
		`{"metadata":{"annotations":{"sluice.dev/approve":"` + release.ApproveValue() + `"}}}`: "sluice.dev/approve cannot be changed through the status subresource",
		`{"metadata":{"annotations":{"sluice.dev/abort":"` + release.Name() + `"}}}`:           "sluice.dev/abort cannot be changed through the status subresource",
		`{"metadata":{"annotations":{"sluice.dev/canary":"disabled"}}}`:                        "sluice.dev/canary cannot be changed through the status subresource",
		`{"metadata":{"labels":{"sluice.dev/release-active":null}}}`:                           "sluice.dev/release-active is sluice's own",
		`{"metadata":{"labels":{"sluice.dev/enabled":"false"}}}`:                               "sluice.dev/enabled cannot be changed through the status subresource",
	} {
		s.Refused("admin", []string{says}, "kubectl", "patch", "statefulset/db", "--subresource=status", "--type=merge", "-p", patch)
	}
	after := s.Get()
	require.Equal(t, before.Annotations, after.Annotations)
	require.Equal(t, before.Labels, after.Labels)
}
