package cluster

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// same compares what a command printed.
func same(got, want string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", got, err)
	}
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

func podName(sentence string) string {
	name := []rune(sentence)
	for i, r := range name {
		if r == ' ' || r == ',' {
			name[i] = '-'
		}
	}
	return string(name)
}

func TestEveryProcessCanBeKilledAndRestarted(t *testing.T) {
	ns := namespace(t)
	for _, name := range components {
		t.Run(name, func(t *testing.T) {
			p := shared.Process(name)
			killed := p.PID()
			require.NoError(t, p.Kill())
			require.False(t, p.Running())
			require.ErrorContains(t, p.Pause(), "pausing "+name)
			require.NoError(t, p.Restart(t.Context()))
			require.NotEqual(t, killed, p.PID())
			kubectl(t, "alice", "create", "deployment", name, "-n", ns, "--image=example/web:v1", "--replicas=3")
			kubectl(t, "alice", "rollout", "status", "deployment/"+name, "-n", ns, "--timeout=30s")
		})
	}
}

func TestAProcessThatEndsByItselfIsStartedAgain(t *testing.T) {
	p := shared.Process("kube-scheduler")
	ended := p.PID()
	require.NoError(t, syscall.Kill(ended, syscall.SIGKILL))
	require.Eventually(t, func() bool { return p.Running() && p.PID() != ended }, 30*time.Second, 10*time.Millisecond)
	ns := namespace(t)
	kubectl(t, "alice", "create", "deployment", "web", "-n", ns, "--image=example/web:v1")
	kubectl(t, "alice", "rollout", "status", "deployment/web", "-n", ns, "--timeout=60s")
}

// A rollout under way is what a restart may lose events of.
func TestRolloutThatIsUnderWaySurvivesARestart(t *testing.T) {
	for _, name := range components {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			kubectl(t, "alice", "create", "deployment", "web", "-n", ns, "--image=example/web:v1", "--replicas=60")
			require.NoError(t, shared.Process(name).Restart(t.Context()))
			kubectl(t, "alice", "rollout", "status", "deployment/web", "-n", ns, "--timeout=60s")
		})
	}
}

func TestPausedProcessDoesNothingUntilItIsResumed(t *testing.T) {
	ns := namespace(t)
	manager := shared.Process("kube-controller-manager")
	require.NoError(t, manager.Pause())
	require.True(t, manager.Running())
	kubectl(t, "alice", "create", "deployment", "web", "-n", ns, "--image=example/web:v1")
	require.Empty(t, kubectl(t, "alice", "get", "replicasets", "-n", ns, "-o", "name"))
	require.NoError(t, manager.Resume())
	kubectl(t, "alice", "rollout", "status", "deployment/web", "-n", ns, "--timeout=30s")
}

func TestPausedProcessCanBeKilled(t *testing.T) {
	p := shared.Process("kube-scheduler")
	require.NoError(t, p.Pause())
	require.NoError(t, p.Kill())
	require.NoError(t, p.Restart(t.Context()))
}
