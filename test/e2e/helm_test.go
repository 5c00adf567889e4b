package e2e

import (
	"fmt"
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

func legacyChart() string {
	return filepath.Join(harness.Root(), "test", "e2e", "testdata", "charts", "legacy")
}

func TestHelmOnAnUnmodifiedChart(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			upgrade := func(image string, flags ...string) harness.Result {
				t.Helper()
				return n.Run(helm.tool, append([]string{"upgrade", "web", harness.Chart(), "--set", "replicas=3,image=" + image}, flags...)...)
			}
			install := n.Run(helm.tool, "install", "web", harness.Chart(), "--set", "replicas=3,image="+v1, "--wait")
			require.Equal(t, []string{"sluice: deployment/web rolls out natively, without a canary: it is new"}, install.Warnings(), install)
			n.WaitStable("web")
			n.WaitConfigSeen("web")
			stable := n.PodsOf("web", v1)
			require.Len(t, stable, 3)

			held := upgrade(v2)
			release := requireHeld(t, n, v2, 1, 3)
			require.Equal(t, "alice", release.Author)
			require.Equal(t, []string{holdWarning(n, release, "1 new pod", 3)}, held.Warnings(), held)
			require.Equal(t, stable, n.PodsOf("web", v1))

			again := upgrade(v2)
			require.Equal(t, release, n.Release("web"), "the same upgrade again changes nothing: %s", again)

			proved := n.PodsOf("web", v2)
			n.Approve("web")
			n.WaitStable("web")
			require.Subset(t, n.PodsOf("web", v2), proved)
			require.Equal(t, 3, created(n.Recorded(), v2))

			upgrade(v3)
			requireHeld(t, n, v3, 1, 3)
			stable = n.PodsOf("web", v2)
			rollback := n.Run(helm.tool, "rollback", "web")
			require.Contains(t, rollback.Stderr, "sluice: deployment/web is back at its stable version")
			n.WaitStable("web")
			require.Equal(t, stable, n.PodsOf("web", v2), "no stable pod was touched")

			upgrade(v3) // nothing was taken from the chart meanwhile: no conflict
			requireHeld(t, n, v3, 1, 3)
			n.Approve("web")
			n.WaitStable("web")
			n.Quiet("web")
		})
	}
}

func TestHelmWaitsForNothingOnAHeldDeployment(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		for flag, flags := range map[string][]string{"--wait": {"--wait"}, helm.undo: {helm.undo}} {
			t.Run(name+" "+flag, func(t *testing.T) {
				t.Parallel()
				n := env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "3s"))
				n.Run(helm.tool, "install", "web", harness.Chart(), "--set", "replicas=3,image="+v1, "--wait")
				n.WaitStable("web")
				stable := n.PodsOf("web", v1)
				// It succeeds at once, as for any paused Deployment, and so undoes nothing when the canary fails.
				n.Run(helm.tool, append([]string{"upgrade", "web", harness.Chart(), "--timeout", "30s",
					"--set", "replicas=3,image=example/unready:v2"}, flags...)...)
				n.WaitPhase("web", canary.Aborted, 1)
				n.PodsOfEventually("web", "example/unready:v2", 0)
				require.Equal(t, stable, n.PodsOf("web", v1))
				require.Contains(t, n.Run(helm.tool, "status", "web").Stdout, "STATUS: deployed")
				n.Run(helm.tool, "rollback", "web")
				n.WaitStable("web")
				require.Equal(t, stable, n.PodsOf("web", v1))
			})
		}
	}
}

func TestAFixAfterAnAbortedVersionResurrectsNothing(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			set := func(values string) []string { return []string{"web", legacyChart(), "--set", values} }
			n.Run(helm.tool, append([]string{"install"}, set("image="+v1)...)...)
			n.WaitStable("web")
			n.Run(helm.tool, append([]string{"upgrade"}, set("legacy=false,image="+v2)...)...)
			requireHeld(t, n, v2, 1, 3)
			n.Abort("web")
			n.WaitPhase("web", canary.Aborted, 1)
			n.Run(helm.tool, append([]string{"upgrade"}, set("legacy=false,image="+v3)...)...)
			requireFix(t, n)
		})
	}
	for name, flags := range map[string][]string{"kubectl apply": {}, "kubectl apply --server-side": {"--server-side"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			apply := func(object any) {
				n.Kubectl(append([]string{"apply", "-f", n.Manifest(object)}, flags...)...)
			}
			apply(web().Env("GREETING", "hello").Env("FLAG_OLD", "on").Sidecar("sidecar", "example/sidecar:v1").Obj())
			n.WaitStable("web")
			apply(web().Env("GREETING", "hello").Image(v2).Obj())
			requireHeld(t, n, v2, 1, 3)
			n.Abort("web")
			n.WaitPhase("web", canary.Aborted, 1)
			apply(web().Env("GREETING", "hello").Image(v3).Obj())
			requireFix(t, n)
		})
	}
}

// requireFix requires that the fix is exactly what it says: nothing of the stable version came back.
func requireFix(t *testing.T, n *harness.Namespace) {
	t.Helper()
	requireHeld(t, n, v3, 1, 3)
	n.Approve("web")
	spec := n.WaitStable("web").Spec.Template.Spec
	require.Len(t, spec.Containers, 1)
	require.Equal(t, v3, spec.Containers[0].Image)
	require.Equal(t, []corev1.EnvVar{{Name: "GREETING", Value: "hello"}}, spec.Containers[0].Env)
}

func TestAChartThatStatesPausedFalseApprovesNothing(t *testing.T) {
	t.Parallel()
	for name, helm := range helms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			upgrade := func(command, values string) harness.Result {
				return n.Run(helm.tool, command, "web", legacyChart(), "--set", "paused=false,"+values)
			}
			upgrade("install", "image="+v1)
			n.WaitStable("web")
			upgrade("upgrade", "image="+v2)
			release := requireHeld(t, n, v2, 1, 3)
			upgrade("upgrade", "image="+v2+",replicas=4")
			require.Equal(t, release.ID, n.Release("web").ID)
			requireHeld(t, n, v2, 1, 4)
			require.Empty(t, n.Release("web").Approvals)
			n.Approve("web")
			n.WaitStable("web")
			require.False(t, n.Deployment("web").Spec.Paused)
		})
	}
}

func TestHelmUpgradesForcedByAPutStayHeld(t *testing.T) {
	t.Parallel()
	for name, force := range map[string][2]string{"Helm 3 --force": {"helm3", "--force"}, "Helm 4 --force-replace": {"helm4", "--force-replace"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			put := func(image string) {
				args := []string{"upgrade", "web", legacyChart(), force[1], "--set", "image=" + image}
				if force[0] == "helm4" {
					args = append(args, "--server-side=false")
				}
				n.Run(force[0], args...)
			}
			install := []string{"install", "web", legacyChart(), "--set", "image=" + v1}
			if force[0] == "helm4" {
				install = append(install, "--server-side=false")
			}
			n.Run(force[0], install...)
			n.WaitStable("web")
			put(v2)
			release := requireHeld(t, n, v2, 1, 3)
			put(v2)
			require.Equal(t, release, n.Release("web"), fmt.Sprintf("%s keeps the release", force[1]))
			require.True(t, n.Deployment("web").Spec.Paused)
		})
	}
}
