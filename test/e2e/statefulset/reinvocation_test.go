package statefulset

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/test/e2e/harness"
)

// dryRun puts a file as a dry run and returns what would be stored.
func dryRun(t *testing.T, s harness.Set, file string) *appsv1.StatefulSet {
	t.Helper()
	var set appsv1.StatefulSet
	require.NoError(t, json.Unmarshal([]byte(s.Kubectl("replace", "-f", file, "--dry-run=server", "-o", "json").Stdout), &set))
	return &set
}

// TestAWebhookThatChangesTheTemplateAfterSluice has sluice called twice for one write.
func TestAWebhookThatChangesTheTemplateAfterSluice(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t)
	s.Inject(harness.Sidecar)
	set := s.CreateSet(two().Partition(0).Obj())
	file := func(image string) string { return set.Manifest(two().Partition(0).Image(image).Obj()) }

	set.Replace(file(v1)) // without the sidecar, which is added again
	require.Nil(t, set.Release())
	require.Zero(t, set.Partition())

	set.Quiet()
	dry := dryRun(t, set, file(v2))
	require.Equal(t, dry.Annotations, dryRun(t, set, file(v2)).Annotations)
	set.Replace(file(v2))
	require.Contains(t, set.Reviewed(), harness.Review{Verb: "update", User: "alice", Called: true, Again: true})
	release := requireHeld(t, set, 1, v1, v2)
	require.Equal(t, dry.Generation, release.ID)
	require.Len(t, set.Pods()["db-1"].Spec.Containers, 2, "the canary has the sidecar")
	set.Replace(file(v2))
	require.Equal(t, release, set.Release(), "the same file again changes nothing")
	require.EqualValues(t, harness.Closed, set.Partition())

	set.Replace(file(v3))
	requireHeld(t, set, 1, v1, v3)
	set.Replace(file(v1))
	set.WaitStable(v1)
	set.Replace(file(v2))
	requireHeld(t, set, 1, v1, v2)
	set.Approve()
	set.WaitStable(v2)
	require.Zero(t, set.Partition())
	require.Len(t, revisionsRun(set), 3)
}

func TestAWebhookThatOpensThePartitionAfterSluice(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t)
	s.Inject(func(object []byte) string {
		var set appsv1.StatefulSet
		if json.Unmarshal(object, &set) != nil || set.Kind != "StatefulSet" {
			return ""
		}
		return `[{"op":"add","path":"/spec/updateStrategy","value":{"type":"RollingUpdate","rollingUpdate":{"partition":0}}}]`
	})
	set := s.CreateSet(two().Obj())
	set.SetImage(v2)
	requireHeld(t, set, 1, v1, v2)
	set.Approve()
	set.WaitStable(v2)
}
