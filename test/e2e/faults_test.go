package e2e

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/harness"
)

// everySecond makes every second write of sluice's go wrong, the first one first, so that each of them
// fails once and then succeeds.
func everySecond(fault harness.Fault) func(harness.Write) harness.Fault {
	var count atomic.Int64
	return func(w harness.Write) harness.Fault {
		if w.Method == "GET" || w.Resource == "events" || count.Add(1)%2 == 0 {
			return harness.Pass
		}
		return fault
	}
}

func TestAReleaseWithEveryWriteFailingOnceEndsTheSame(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]harness.Fault{
		"with 409": harness.Conflict, "with 429": harness.TooMany, "with 500": harness.Internal,
		"done, but the answer is lost": harness.Lost,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			defer env.Proxy.Interfere(n.Name, everySecond(fault))()
			n.SetImage("web", v2)
			proved := n.PodsOfEventually("web", v2, 1)
			requireHeld(t, n, v2, 1, 3)
			n.Approve("web")
			d := n.WaitStable("web")
			require.False(t, d.Spec.Paused)
			require.Subset(t, n.PodsOf("web", v2), proved)
			require.Equal(t, 3, created(n.Recorded(), v2))
			require.Equal(t, 2, replicaSetsMade(n.Recorded()))

			n.SetImage("web", v3)
			requireHeld(t, n, v3, 1, 3)
			n.Abort("web")
			n.PodsOfEventually("web", v3, 0)
			n.SetImage("web", v2)
			n.WaitStable("web")
			require.Equal(t, map[string]int{v2: 3}, podImages(n.LivePods(t.Context(), "web")))
		})
	}
}

// TestConfigThatCannotBeReadIsNeverGuessed: the API server answers sluice's own reads slowly or not.
func TestConfigThatCannotBeReadIsNeverGuessed(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]harness.Fault{"refused": harness.Internal, "no answer": harness.Hang} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			createConfigMap(t, n, "hello")
			before := n.Create(web().EnvFromConfigMap("app").Obj())
			restore := env.Proxy.Interfere(n.Name, func(w harness.Write) harness.Fault {
				if w.Method == "GET" && w.Resource == "configmaps" {
					return fault
				}
				return harness.Pass
			})
			n.Refused("alice", []string{"reading ConfigMap " + n.Name + "/app", "nothing was changed, try again"},
				"kubectl", "set", "image", "deployment/web", "app="+v2)
			require.Equal(t, before.Spec, n.Deployment("web").Spec)
			require.Nil(t, n.Release("web"))
			restore()
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
		})
	}
}
