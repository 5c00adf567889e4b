package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

const v1, v2, v3 = "example/app:v1", "example/app:v2", "example/app:v3"

// web is the Deployment that most tests start from: three pods of v1.
func web() *builders.DeploymentBuilder { return builders.MakeDeployment("web").Replicas(3) }

// holdWarning is what whoever starts a release reads.
func holdWarning(n *harness.Namespace, release *canary.Release, pods string, replicas int) string {
	return fmt.Sprintf("sluice: deployment/web is held as release %d: step 1 of 1 runs %s beside %d; once available, "+
		"approve with: kubectl rollout resume deployment/web -n %s", release.ID, pods, replicas, n.Name)
}

// requireHeld requires that the template is held with its canary running beside all stable pods.
func requireHeld(t *testing.T, n *harness.Namespace, image string, canaries, stable int) *canary.Release {
	t.Helper()
	what := fmt.Sprintf("%s waits with %d pods beside %d", image, canaries, stable)
	d := n.WaitDeployment("web", what, func(d *appsv1.Deployment) bool {
		r, err := canary.DecodeRelease(d.Annotations)
		return err == nil && r != nil && r.Phase == canary.Waiting && r.Step == 1 && r.Since != nil &&
			d.Status.AvailableReplicas == int32(stable) && len(n.LivePods(t.Context(), "web")) == canaries+stable
	})
	require.True(t, d.Spec.Paused)
	require.Equal(t, image, d.Spec.Template.Spec.Containers[0].Image)
	return n.Release("web")
}

func TestEveryKubectlWriteOfATemplateIsHeld(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		write     func(n *harness.Namespace) harness.Result
		wantImage string // v2 where empty
	}{
		"kubectl set image": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("set", "image", "deployment/web", "app="+v2)
		}},
		"kubectl set env": {wantImage: v1, write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("set", "env", "deployment/web", "GREETING=hello")
		}},
		"kubectl edit": {write: func(n *harness.Namespace) harness.Result {
			return n.Edit("deployment/web", v1, v2)
		}},
		"kubectl apply": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("apply", "-f", n.Manifest(web().Image(v2).Obj()))
		}},
		"kubectl apply --server-side": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("apply", "--server-side", "--force-conflicts", "-f", n.Manifest(web().Image(v2).Obj()))
		}},
		"kubectl replace": {write: func(n *harness.Namespace) harness.Result {
			return n.Replace(n.Manifest(web().Image(v2).Obj()))
		}},
		"kubectl patch": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
		}},
		"kubectl patch --type=merge": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("patch", "deployment/web", "--type=merge", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
		}},
		"kubectl patch --type=json": {write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("patch", "deployment/web", "--type=json", "-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+v2+`"}]`)
		}},
		"kubectl rollout restart": {wantImage: v1, write: func(n *harness.Namespace) harness.Result {
			return n.Kubectl("rollout", "restart", "deployment/web")
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			result := test.write(n)
			image := test.wantImage
			if image == "" {
				image = v2
			}
			release := requireHeld(t, n, image, 1, 3)
			require.Equal(t, "alice", release.Author)
			warnings := slices.DeleteFunc(result.Warnings(), func(w string) bool {
				return strings.Contains(w, "last-applied-configuration") // kubectl's own, of an object made without apply
			})
			require.Equal(t, []string{holdWarning(n, release, "1 new pod", 3)}, warnings, result)
		})
	}
}

func TestAppliedManifestsAreHeldApprovedAndPromoted(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"kubectl apply":               {},
		"kubectl apply --server-side": {"--server-side"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			apply := func(d *appsv1.Deployment) harness.Result {
				return n.Kubectl(append([]string{"apply", "-f", n.Manifest(d)}, flags...)...)
			}
			first := apply(web().Obj())
			require.Equal(t, []string{"sluice: deployment/web rolls out natively, without a canary: it is new"}, first.Warnings())
			n.WaitStable("web")

			result := apply(web().Image(v2).Obj())
			release := requireHeld(t, n, v2, 1, 3)
			require.Equal(t, []string{holdWarning(n, release, "1 new pod", 3)}, result.Warnings(), result)
			canaryPod := n.PodsOf("web", v2)

			again := apply(web().Image(v2).Obj())
			require.NotContains(t, again.Stderr, "onflict")
			require.Equal(t, release, n.Release("web"), "the same file again changes nothing")

			approval := n.Approve("web")
			require.Contains(t, approval.Stdout, "deployment.apps/web resumed")
			require.Equal(t, []string{fmt.Sprintf("sluice: step 1 of release %d of deployment/web is approved by \"alice\"; it is promoted", release.ID)}, approval.Warnings())
			n.WaitStable("web")
			require.Len(t, n.PodsOf("web", v2), 3)
			require.Subset(t, n.PodsOf("web", v2), canaryPod)

			apply(web().Image(v3).Obj()) // no field was taken from the user meanwhile
			requireHeld(t, n, v3, 1, 3)
			n.Quiet("web")
		})
	}
}

func TestTheEditedObjectShowsTheReleaseAndKeepsIt(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 1, 3)
	n.Edit("deployment/web", "progressDeadlineSeconds: 600", "progressDeadlineSeconds: 601")
	require.Equal(t, release, n.Release("web"))
	require.True(t, n.Deployment("web").Spec.Paused)
}

func TestScaleIsNotHeldAndTheCanaryFollows(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	require.Empty(t, n.Kubectl("scale", "deployment/web", "--replicas=4").Warnings())
	n.WaitStable("web")
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 4)
	n.Kubectl("scale", "deployment/web", "--replicas=6")
	n.Eventually("the canary has the two pods of 20 % of 6", func(context.Context) error {
		if got := len(n.PodsOf("web", v2)); got != 2 {
			return fmt.Errorf("it has %d", got)
		}
		return nil
	})
	requireHeld(t, n, v2, 2, 6)
}

func TestRolloutUndo(t *testing.T) {
	t.Parallel()
	t.Run("while held it is refused by kubectl itself", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.Refused("alice", []string{"no rollout history found"}, "kubectl", "rollout", "undo", "deployment/web")
		n.Approve("web")
		n.WaitStable("web")
		n.SetImage("web", v3)
		requireHeld(t, n, v3, 1, 3)
		n.Refused("alice", []string{"cannot rollback a paused deployment"}, "kubectl", "rollout", "undo", "deployment/web")
	})
	t.Run("after a promotion it is held like any other version", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.Approve("web")
		n.WaitStable("web")
		n.Kubectl("rollout", "undo", "deployment/web")
		requireHeld(t, n, v1, 1, 3)
		n.Approve("web")
		n.WaitStable("web")
		require.Len(t, n.PodsOf("web", v1), 3)
	})
}

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
