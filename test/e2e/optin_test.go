package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func requireNotCalled(t *testing.T, reviews []harness.Review) {
	t.Helper()
	for _, r := range reviews {
		require.False(t, r.Called, r)
	}
}

func TestWhatIsNotOptedInNeverReachesSluice(t *testing.T) {
	t.Parallel()
	t.Run("a namespace that did not opt in", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.OptedOut)
		n.Create(web().Obj())
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v2).Warnings())
		n.WaitStable("web")
		require.Empty(t, env.Proxy.Writes(n.Name))
		require.Zero(t, env.Proxy.Reads(n.Name))
		reviews := n.Reviewed()
		require.Contains(t, reviews, harness.Review{Verb: "create", User: "alice"})
		require.Contains(t, reviews, harness.Review{Verb: "patch", User: "alice"})
		requireNotCalled(t, reviews)
	})
	t.Run("a workload that opted out, which needs the permission", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.Refused("alice", []string{`the verb "bypass" on deployments.apps`}, "kubectl", "label", "deployment/web", canary.EnabledLabel+"=false")
		require.Zero(t, n.Command("admin", "kubectl", "label", "deployment/web", canary.EnabledLabel+"=false").Code)
		reviews, reads := n.Reviewed(), env.Proxy.Reads(n.Name)
		require.Contains(t, reviews, harness.Review{Verb: "create", User: "alice", Called: true})
		require.Contains(t, reviews, harness.Review{Verb: "patch", User: "admin", Called: true}, "opting out itself is reviewed")
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v2).Warnings())
		n.WaitStable("web")
		since := n.Reviewed()[len(reviews):]
		require.Contains(t, since, harness.Review{Verb: "patch", User: "alice"})
		requireNotCalled(t, since)
		require.Equal(t, reads, env.Proxy.Reads(n.Name))
		require.Empty(t, env.Proxy.Writes(n.Name))
	})
	t.Run("a workload that is created opted out, which needs the permission", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		file := n.Manifest(web().Label(canary.EnabledLabel, "false").Obj())
		n.Refused("alice", []string{"needs the verb bypass on deployments.apps in namespace " + n.Name}, "kubectl", "create", "-f", file)
		require.Zero(t, n.Command("admin", "kubectl", "create", "-f", file).Code)
		n.WaitStable("web")
		requireNotCalled(t, n.Reviewed())
	})
	t.Run("a namespace that opts out in the middle of a release, which can still be finished", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.OptOut()
		n.Approve("web")
		n.WaitStable("web")
		require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
		n.Mark("web", watch.Native)
		require.Empty(t, n.SetImage("web", v3).Warnings())
		n.WaitStable("web")
	})
	t.Run("a namespace that opts out in the middle of a release, which can still be aborted", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		requireHeld(t, n, v2, 1, 3)
		n.OptOut()
		n.Abort("web")
		n.PodsOfEventually("web", v2, 0)
		n.SetImage("web", v1)
		n.WaitStable("web")
	})
	t.Run("opting in with running workloads rolls nothing", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t, harness.OptedOut)
		for i := range 3 {
			d := web().Obj()
			d.Name = fmt.Sprintf("web-%d", i)
			d.Spec.Selector.MatchLabels = map[string]string{"app": d.Name}
			d.Spec.Template.Labels = map[string]string{"app": d.Name}
			n.Create(d)
		}
		n.OptIn()
		n.Kubectl("annotate", "deployments", "--all", "example.com/poke=1")
		n.Quiet("web-0")
		require.Equal(t, 3, replicaSetsMade(n.Recorded()))
		n.SetImage("web-0", v2)
		n.WaitPhase("web-0", canary.Waiting, 1)
	})
}
