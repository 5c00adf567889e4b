package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

// TestSluicesKeysAreOutOfReachOfStatus, which no webhook sees, for whoever holds any permission.
func TestSluicesKeysAreOutOfReachOfStatus(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	before := n.Deployment("web")
	for patch, says := range map[string]string{
		`{"metadata":{"annotations":{"sluice.dev/release":"{}"}}}`:                             "sluice.dev/release is sluice's own record",
		`{"metadata":{"annotations":{"sluice.dev/approve":"` + release.ApproveValue() + `"}}}`: "sluice.dev/approve cannot be changed through the status subresource",
		`{"metadata":{"annotations":{"sluice.dev/abort":"` + release.Name() + `"}}}`:           "sluice.dev/abort cannot be changed through the status subresource",
		`{"metadata":{"annotations":{"sluice.dev/canary":"disabled"}}}`:                        "sluice.dev/canary cannot be changed through the status subresource",
	} {
		n.Refused("admin", []string{says}, "kubectl", "patch", "deployment/web", "--subresource=status", "--type=merge", "-p", patch)
	}
	// Labels of a Deployment, unlike those of a StatefulSet, the API server itself leaves alone there.
	labels := `{"metadata":{"labels":{"sluice.dev/release-active":null,"sluice.dev/enabled":"false"}}}`
	require.Zero(t, n.Command("admin", "kubectl", "patch", "deployment/web", "--subresource=status", "--type=merge", "-p", labels).Code)
	after := n.Deployment("web")
	require.Equal(t, before.Annotations, after.Annotations)
	require.Equal(t, before.Labels, after.Labels)
}

func TestGoingRoundTheCanaryNeedsThePermission(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	both := `"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + v2 + `"}]}}}`
	for _, patch := range []string{
		`{"metadata":{"annotations":{"sluice.dev/canary":"disabled"}}}`,
		`{"metadata":{"labels":{"sluice.dev/enabled":"false"}}}`,
		`{"metadata":{"annotations":{"sluice.dev/canary":"disabled"}},` + both + `}`,
		`{"metadata":{"labels":{"sluice.dev/enabled":"false"}},` + both + `}`,
	} {
		n.Refused("alice", []string{`"alice" may not opt out or disable the canaries of deployment/web`, `the verb "bypass" on deployments.apps`},
			"kubectl", "patch", "deployment/web", "-p", patch)
	}
	require.Equal(t, v1, n.Deployment("web").Spec.Template.Spec.Containers[0].Image)
	// With the permission the write that disables is still judged by the object as it was.
	require.Zero(t, n.Command("admin", "kubectl", "patch", "deployment/web", "-p", `{"metadata":{"annotations":{"sluice.dev/canary":"disabled"}},`+both+`}`).Code)
	require.Equal(t, "admin", requireHeld(t, n, v2, 1, 3).Author)
	require.Equal(t, "disabled", n.Deployment("web").Annotations[canary.CanaryAnnotation])
	n.SetImage("web", v1)
	n.WaitStable("web")
}
