package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestReplaceFromTheOriginalFileKeepsTheHold(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Kubectl("create", "-f", n.Manifest(web().Obj()))
	n.WaitStable("web")
	n.Replace(n.Manifest(web().Image(v2).Obj()))
	release := requireHeld(t, n, v2, 1, 3)
	n.Replace(n.Manifest(web().Image(v2).Obj()))
	require.Equal(t, release, n.Release("web"))
	require.True(t, n.Deployment("web").Spec.Paused)
	n.Replace(n.Manifest(web().Image(v3).Obj()))
	require.NotEqual(t, release.ID, requireHeld(t, n, v3, 1, 3).ID)
}

func TestAStaleResourceVersionGetsTheServersOwnConflict(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	stored := n.Kubectl("get", "deployment/web", "-o", "yaml").Stdout
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	stale := n.File("stale.yaml", []byte(strings.ReplaceAll(stored, v1, v3)))
	n.Refused("alice", []string{"the object has been modified"}, "kubectl", "replace", "-f", stale)
	require.Equal(t, release, n.Release("web"))
}

func TestABackupOfAHeldDeploymentBecomesAPlainOne(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]string{"under another name": "copy", "under the same name": "web"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
			backup := backupOf(t, n, as)
			if as == "web" {
				n.Kubectl("delete", "deployment/web", "--wait")
			}
			n.Kubectl("create", "-f", backup)
			d := n.WaitStable(as)
			require.False(t, d.Spec.Paused)
			require.NotContains(t, d.Annotations, canary.ReleaseAnnotation)
			require.NotContains(t, d.Labels, canary.ActiveLabel)
			require.Equal(t, v2, d.Spec.Template.Spec.Containers[0].Image)
		})
	}
}

// backupOf stores a held Deployment as a backup tool does: all of it, without what the server sets.
func backupOf(t *testing.T, n *harness.Namespace, name string) string {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(n.Kubectl("get", "deployment/web", "-o", "json").Stdout), &object))
	delete(object, "status")
	metadata := object["metadata"].(map[string]any)
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
		delete(metadata, field)
	}
	metadata["name"] = name
	if name != "web" { // pods of its own, as a copy must have
		spec := object["spec"].(map[string]any)
		spec["selector"] = map[string]any{"matchLabels": map[string]any{"app": name}}
		spec["template"].(map[string]any)["metadata"].(map[string]any)["labels"] = map[string]any{"app": name}
	}
	raw, err := yaml.Marshal(object)
	require.NoError(t, err)
	file := n.File("backup.yaml", raw)
	require.FileExists(t, file)
	return file
}
