package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

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

// TestWhatTheHarnessSendsIsWhatKubectlDoes: most tests change images, approve and abort without a kubectl. They get the
// same warnings, and what a new image leaves behind is the same, with who owns it.
func TestWhatTheHarnessSendsIsWhatKubectlDoes(t *testing.T) {
	t.Parallel()
	held := func(n *harness.Namespace) {
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
	}
	for name, test := range map[string]struct {
		before  func(n *harness.Namespace)
		harness func(n *harness.Namespace) harness.Result
		kubectl func(n *harness.Namespace) []string
		owner   string // of what stays
	}{
		"set image": {
			owner:   "kubectl-set",
			before:  func(*harness.Namespace) {},
			harness: func(n *harness.Namespace) harness.Result { return n.SetImage("web", v2) },
			kubectl: func(*harness.Namespace) []string { return []string{"set", "image", "deployment/web", "app=" + v2} },
		},
		"rollout resume": {
			before:  held,
			harness: func(n *harness.Namespace) harness.Result { return n.Approve("web") },
			kubectl: func(n *harness.Namespace) []string {
				n.Mark("web", watch.Approved)
				return []string{"rollout", "resume", "deployment/web"}
			},
		},
		"annotate": {
			before:  held,
			harness: func(n *harness.Namespace) harness.Result { return n.Abort("web") },
			kubectl: func(n *harness.Namespace) []string {
				return []string{"annotate", "--overwrite", "deployment/web", canary.AbortAnnotation + "=" + n.Release("web").Name()}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := func(write func(n *harness.Namespace) harness.Result) []string {
				n := env.Namespace(t)
				n.Create(web().Obj())
				test.before(n)
				says := write(n).Warnings()
				for _, entry := range n.Deployment("web").ManagedFields {
					if entry.Manager == test.owner {
						says = append(says, string(entry.Operation)+" "+entry.FieldsV1.String())
					}
				}
				return strings.Split(strings.ReplaceAll(strings.Join(says, "\n"), n.Name, "NAMESPACE"), "\n")
			}
			want := left(func(n *harness.Namespace) harness.Result { return n.Kubectl(test.kubectl(n)...) })
			require.NotEmpty(t, want[0])
			require.Equal(t, want, left(test.harness))
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

			n.Mark("web", watch.Approved)
			approval := n.Kubectl("rollout", "resume", "deployment/web")
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
