package eject

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// rollsNatively requires that a new version of web rolls out as if sluice were not there.
func rollsNatively(t *testing.T, n *harness.Namespace) {
	t.Helper()
	n.Mark("web", watch.Native)
	require.Empty(t, n.SetImage("web", v3).Warnings())
	n.WaitStable("web")
	n.PodsOfEventually("web", v3, 4)
}

func TestANamespaceIsEjectedWithSluiceDead(t *testing.T) {
	whileDead(t, []scenario{{"both kinds", func(t *testing.T) func() {
		t.Helper()
		n := env.Namespace(t)
		n.Unjudged()
		bothWait(n, "namespace", canary.EndPaused)
		return func() {
			r := n.Plugin("admin", "eject", "--all", "--yes")
			require.Equal(t, 1, r.Code, r)
			for _, part := range []string{"say how what is held ends", "deployment/web", "statefulset/db", "--promote", "--revert", "--leave-paused"} {
				require.Contains(t, r.Stderr, part)
			}
			markEnding(n, "namespace", canary.EndReverted)
			dry := n.Plugin("admin", "eject", "--all", "--revert", "--dry-run")
			require.Zero(t, dry.Code, dry)
			require.NotNil(t, n.Release("web"), "nothing was done")
			t.Log(ejected(t, n, "--all", "--revert"))
			requireEjected(t, n, "namespace", canary.EndReverted)
			ns, err := n.Admin.CoreV1().Namespaces().Get(t.Context(), n.Name, metav1.GetOptions{})
			require.NoError(t, err)
			require.NotContains(t, ns.Labels, canary.EnabledLabel)
			require.Contains(t, ejected(t, n, "--all").Stderr, "Nothing of sluice's is left")
			rollsNatively(t, n)
			judge(t, n)
		}
	}}})
}

func TestEverythingIsEjectedWithSluiceDead(t *testing.T) {
	everything := func(t *testing.T) func() {
		t.Helper()
		first, second := env.Namespace(t), env.Namespace(t)
		for _, n := range []*harness.Namespace{first, second} {
			n.Unjudged()
			n.Create(web().Obj())
			n.SetImage("web", v2)
		}
		waiting(first)
		waiting(second)
		second.Abort("web")
		second.WaitPhase("web", canary.Aborted, 1)
		return func() {
			r := first.PluginEverywhere("admin", "eject", "--all", "-A", "--promote", "--yes")
			require.Equal(t, 1, r.Code, r)
			require.Contains(t, r.Stderr, "is aborted, and promoted only by its name")
			require.NotNil(t, first.Release("web"), "nothing was done")

			markEnding(first, "deployment", canary.EndPaused)
			markEnding(second, "deployment", canary.EndPaused)
			r = first.PluginEverywhere("admin", "eject", "--all", "-A", "--leave-paused", "--yes")
			require.Zero(t, r.Code, r)
			t.Log(r)
			require.Contains(t, r.Stdout, "kubectl delete -f install.yaml")
			for _, n := range []*harness.Namespace{first, second} {
				requireEjected(t, n, "everywhere", canary.EndPaused)
			}
			for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration", "validatingadmissionpolicy", "validatingadmissionpolicybinding"} {
				require.Empty(t, first.Command("admin", "kubectl", "get", kind, "-l", "app.kubernetes.io/name=sluice", "-o", "name").Stdout)
			}
			for _, n := range []*harness.Namespace{first, second} {
				n.Mark("web", watch.Approved)
				n.Mark("web", watch.Unpaused)
				n.Kubectl("rollout", "resume", "deployment/web")
				n.WaitStable("web")
				n.PodsOfEventually("web", v2, 4)
				rollsNatively(t, n)
				judge(t, n)
			}
		}
	}
	whileDead(t, []scenario{{"two namespaces", everything}})
}

func TestALivingSluiceDoesNotStandInTheWay(t *testing.T) {
	revive(t)
	for _, ending := range anyEnding {
		t.Run(string(ending), func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Unjudged()
			bothWait(n, "namespace", canary.EndPaused)
			markEnding(n, "namespace", ending)
			args := []string{"--all", "--" + string(ending)}
			ejected(t, n, args...)
			requireEjected(t, n, "namespace", ending)
			judge(t, n)
		})
	}
	t.Run("a workload that is named is out of sluice's way", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Unjudged()
		bothWait(n, "deployment", canary.EndReverted)
		ejected(t, n, "deployment", "web", "--revert")
		requireEjected(t, n, "deployment", canary.EndReverted)
		rollsNatively(t, n)
		judge(t, n)
	})
}
