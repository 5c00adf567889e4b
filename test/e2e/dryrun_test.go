package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

func patchImage(image string) string {
	return `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"` + image + `"}]}}}}`
}

func TestTwoUpdatesAtOnceAreOneRelease(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	_, err := n.Patch("web", types.StrategicMergePatchType, patchImage(v2))
	require.NoError(t, err)
	_, err = n.Patch("web", types.StrategicMergePatchType, patchImage(v3))
	require.NoError(t, err)
	requireHeld(t, n, v3, 1, 3)
	n.PodsOfEventually("web", v2, 0)
	require.Len(t, canaryReplicaSets(n), 1)
}

func TestADryRunGivesTheSameAnswerAndStoresNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	before := n.Create(web().Obj())
	client := env.Client(t, "alice").AppsV1().Deployments(n.Name)
	dry := func() *appsv1.Deployment {
		d, err := client.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patchImage(v2)),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(t, err)
		return d
	}
	first, second := dry(), dry()
	require.Equal(t, first.Annotations, second.Annotations)
	require.Equal(t, first.Spec, second.Spec)
	require.True(t, first.Spec.Paused)
	require.Equal(t, before.ResourceVersion, n.Deployment("web").ResourceVersion, "nothing is stored")
	require.Empty(t, env.Proxy.Writes(n.Name))

	stored, err := client.Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patchImage(v2)), patchOptions)
	require.NoError(t, err)
	require.Equal(t, first.Annotations, stored.Annotations)
	require.Equal(t, first.Spec, stored.Spec)

	diff := n.Command("alice", "kubectl", "diff", "--server-side", "--force-conflicts", "-f", n.Manifest(web().Image(v3).Obj()))
	require.Equal(t, 1, diff.Code, diff.Stderr)
	require.Contains(t, diff.Stdout, v3)
}

func TestADeniedRequestStoresNothing(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	n.Quiet("web")
	before := n.Deployment("web")
	n.Refused("bob", []string{`may not abort`}, "kubectl", "annotate", "deployment/web", canary.AbortAnnotation+"="+n.Release("web").Name())
	n.Refused("alice", []string{"cannot be scaled to 0"}, "kubectl", "patch", "deployment/web", "-p", `{"spec":{"replicas":0,"minReadySeconds":3}}`)
	require.Equal(t, before, n.Deployment("web"))
}
