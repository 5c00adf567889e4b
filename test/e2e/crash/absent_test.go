package crash

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// dead kills sluice and starts it again when the test ends, or when revive is called.
func dead(t *testing.T) (revive func()) {
	t.Helper()
	env.Sluice().Kill()
	revived := false
	revive = func() {
		t.Helper()
		if revived {
			return
		}
		revived = true
		_, err := env.StartSluice(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
	}
	t.Cleanup(revive)
	return revive
}

func hold(t *testing.T, n *harness.Namespace) *canary.Release {
	t.Helper()
	setImage(n, v2)
	release := n.WaitPhase("web", canary.Waiting, 1)
	n.PodsOfEventually("web", v2, 1)
	return release
}

func TestWhileSluiceIsDeadTheNativeControllersKeepTheStablePods(t *testing.T) {
	n := env.Namespace(t)
	n.Create(web().Obj())
	release := hold(t, n)
	revive := dead(t)

	n.Mark("web", watch.Disturbed)
	lost := n.PodsOf("web", v1)[0]
	require.NoError(t, n.Admin.CoreV1().Pods(n.Name).Delete(t.Context(), lost, metav1.DeleteOptions{}))
	n.WaitDeployment("web", "four stable pods are available again", func(d *appsv1.Deployment) bool {
		return d.Status.AvailableReplicas == 4
	})
	require.NotContains(t, n.PodsOfEventually("web", v1, 4), lost)
	n.Mark("web", watch.Restored)

	for _, replicas := range []int{6, 4} {
		n.Kubectl("scale", "deployment/web", fmt.Sprintf("--replicas=%d", replicas))
		n.PodsOfEventually("web", v1, replicas)
		n.PodsOfEventually("web", v2, 1)
	}
	require.Equal(t, release, n.Release("web"))
	require.True(t, n.Deployment("web").Spec.Paused)

	revive()
	approve(n)
	n.WaitStable("web")
}

func TestWhatClientsSeeWhileSluiceIsDead(t *testing.T) {
	held, idle := env.Namespace(t), env.Namespace(t)
	held.Create(web().Obj())
	hold(t, held)
	idle.Run("helm4", "install", "web", harness.Chart(), "--set", "replicas=3,image="+v1, "--wait")
	idle.WaitStable("web")
	dead(t)

	where := []string{`failed calling webhook "workloads.sluice.dev"`}
	idle.Refused("alice", where, "kubectl", "set", "image", "deployment/web", "*="+v2)
	idle.Refused("alice", where, "kubectl", "rollout", "restart", "deployment/web")
	idle.Refused("alice", where, "kubectl", "create", "-f", idle.Manifest(builders.MakeDeployment("other").Obj()))
	for _, helm := range []string{"helm3", "helm4"} {
		idle.Refused("alice", where, helm, "upgrade", "web", harness.Chart(), "--set", "replicas=3,image="+v2)
	}
	require.Equal(t, v1, idle.Deployment("web").Spec.Template.Spec.Containers[0].Image)

	// What is held stays held, whatever is written to it.
	where = []string{`failed calling webhook "releases.sluice.dev"`}
	held.Refused("alice", where, "kubectl", "rollout", "resume", "deployment/web")
	// Without its label it is selected by the other entry as well: there is no way around both.
	held.Refused("alice", []string{"failed calling webhook"}, "kubectl", "label", "deployment/web", canary.ActiveLabel+"-")
	held.Refused("alice", where, "kubectl", "set", "image", "deployment/web", "app="+v3)

	// A dead sluice blocks template writes and nothing else.
	idle.Kubectl("label", "deployment/web", "team=shop")
	idle.Kubectl("scale", "deployment/web", "--replicas=4")
	idle.PodsOfEventually("web", v1, 4)
	idle.Kubectl("delete", "pod", idle.PodsOf("web", v1)[0], "--wait=false")
	idle.Mark("web", watch.Disturbed)
	held.Kubectl("scale", "deployment/web", "--replicas=5")
	held.PodsOfEventually("web", v1, 5)
	out := env.Namespace(t, harness.OptedOut)
	out.Create(web().Obj())
	out.Mark("web", watch.Native)
	out.SetImage("web", v2)
	out.WaitStable("web")
	held.Kubectl("delete", "deployment/web", "--wait=false")
}

func TestARestartedSluiceGoesOnAndWritesNothingThatIsNotNeeded(t *testing.T) {
	n := env.Namespace(t)
	n.Create(web().Obj())
	release := hold(t, n)
	n.Quiet("web")
	before := len(env.Proxy.Writes(n.Name))
	dead(t)()
	n.Quiet("web")
	require.Len(t, env.Proxy.Writes(n.Name), before)
	require.Equal(t, release, n.Release("web"))
	approve(n)
	n.WaitStable("web")
}

// withoutWebhooks takes sluice out of the API server's way, as somebody does in an emergency.
func withoutWebhooks(t *testing.T, n *harness.Namespace) {
	t.Helper()
	for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration"} {
		result := n.Command("admin", "kubectl", "delete", kind, "sluice")
		require.Zero(t, result.Code, result)
	}
}

func TestAReleaseForcedToZeroPastSluiceComesBackAsTheStableVersion(t *testing.T) {
	for name, limit := range map[string]int32{"with a history": 10, "with revisionHistoryLimit 0": 0} {
		t.Run(name, func(t *testing.T) {
			n := env.Namespace(t)
			n.Create(web().HistoryLimit(limit).Obj())
			hold(t, n)
			revive := dead(t)
			withoutWebhooks(t, n)
			n.Mark("web", watch.Disturbed)
			n.Kubectl("scale", "deployment/web", "--replicas=0")
			n.PodsOfEventually("web", v1, 0)
			revive()
			n.Kubectl("scale", "deployment/web", "--replicas=4")
			n.PodsOfEventually("web", v1, 4)
			n.WaitPhase("web", canary.Waiting, 1)
			n.PodsOfEventually("web", v2, 1)
			n.Mark("web", watch.Restored)
			setImage(n, v1)
			n.WaitStable("web")
		})
	}
}

// TestTheWatcherSeesAHoldThatIsSwitchedOff: with the webhooks gone nothing holds, and the watcher says so.
func TestTheWatcherSeesAHoldThatIsSwitchedOff(t *testing.T) {
	n := env.Namespace(t)
	n.Unjudged()
	n.Create(web().Obj())
	dead(t)
	withoutWebhooks(t, n)
	n.SetImage("web", v2)
	n.WaitDeployment("web", "it rolls out natively", harness.Complete)
	rules := map[string]bool{}
	for _, v := range n.Violations(t.Context()) {
		rules[v.Rule] = true
	}
	require.True(t, rules["ungated"])
}

func TestSluiceDevTakesOutWhatItInstalledAndSaysWhatStaysHeld(t *testing.T) {
	n := env.Namespace(t)
	n.Create(web().Obj())
	hold(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, err := env.Sluice().Stop(ctx)
	t.Cleanup(func() {
		_, err := env.StartSluice(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
	})
	require.NoError(t, err)
	require.Contains(t, said, "kubectl -n "+n.Name+" rollout resume deployment/web")
	for _, kind := range []string{"mutatingwebhookconfiguration", "validatingwebhookconfiguration"} {
		require.Empty(t, n.Command("admin", "kubectl", "get", kind, "-o", "name").Stdout)
	}
	require.True(t, n.Deployment("web").Spec.Paused, "what is held stays held")
	n.Mark("web", watch.Approved)
	n.Kubectl("rollout", "resume", "deployment/web")
	n.WaitDeployment("web", "it rolls out natively", harness.Complete)
}

func TestReleasesSurviveTheControlPlane(t *testing.T) {
	for _, process := range []string{"kube-apiserver", "kube-controller-manager", "etcd"} {
		t.Run(process, func(t *testing.T) {
			n := env.Namespace(t)
			n.AllowGaps()
			n.Create(web().Obj())
			s := n.CreateSet(db().Obj())
			setImage(n, v2)
			s.SetImage(v2)
			require.NoError(t, env.Cluster.Process(process).Restart(t.Context()))
			n.WaitPhase("web", canary.Waiting, 1)
			s.WaitPhase(canary.Waiting, 1)
			approve(n)
			s.Approve()
			require.NoError(t, env.Cluster.Process(process).Restart(t.Context()))
			n.WaitStable("web")
			s.WaitStable(v2)
		})
	}
}
