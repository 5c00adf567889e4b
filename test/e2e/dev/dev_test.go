package dev

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	nothing  = ""
	sluiceSA = "system:serviceaccount:sluice-system:sluice"
)

// kubectl runs it as a user and returns what it said; a failure is the test's.
func kubectl(t *testing.T, user string, args ...string) string {
	t.Helper()
	out, err := try(user, args...)
	require.NoError(t, err, "kubectl %v: %s", args, out)
	return out
}

func try(user string, args ...string) (string, error) {
	out, err := exec.Command(control.Tool("kubectl"), append([]string{"--kubeconfig", control.Kubeconfig(user)}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// installed lists what there is of sluice.
func installed(t *testing.T) string {
	t.Helper()
	out := kubectl(t, "admin", "get", "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,"+
		"validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name")
	var of []string
	for _, line := range strings.Fields(out) {
		if strings.Contains(line, "/sluice") {
			of = append(of, line)
		}
	}
	return strings.Join(of, "\n")
}

// takenOut waits until nothing is left: namespaces go in their own time.
func takenOut(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return installed(t) == nothing }, 2*time.Minute, 200*time.Millisecond, "%s", installed(t))
}

// shop makes an opted-in namespace with a Deployment of two available pods.
func shop(t *testing.T, name string) {
	t.Helper()
	kubectl(t, "admin", "create", "namespace", name)
	kubectl(t, "admin", "label", "namespace", name, "sluice.dev/enabled=true")
	kubectl(t, "alice", "-n", name, "create", "deployment", "web", "--image=example/web:v1", "--replicas=2")
	kubectl(t, "alice", "-n", name, "rollout", "status", "deployment/web", "--timeout=60s")
	t.Cleanup(func() { kubectl(t, "admin", "delete", "namespace", name, "--wait=false") })
}

// held waits until the release waits for approval.
func held(t *testing.T, namespace string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(kubectl(t, "alice", "-n", namespace, "get", "rs", "--show-labels"), "sluice.dev/phase=Waiting")
	}, patience, 100*time.Millisecond)
}

func TestTheServerActsAsItsServiceAccountAndThePersonInstalls(t *testing.T) {
	p := start(t).serves(t)

	writers := map[string]map[string]bool{}
	writes, err := control.Writes()
	require.NoError(t, err)
	for _, w := range writes {
		if w.Code >= 300 || w.DryRun {
			continue
		}
		if writers[w.Resource] == nil {
			writers[w.Resource] = map[string]bool{}
		}
		if w.Namespace == "sluice-system" || w.Name == "sluice" {
			writers[w.Resource][w.User] = true
		}
	}
	require.True(t, writers["secrets"][sluiceSA], "the server makes its Secrets: %v", writers)
	require.Equal(t, map[string]bool{"admin": true}, writers["clusterroles"])
	require.True(t, writers["mutatingwebhookconfigurations"]["admin"])
	require.True(t, writers["mutatingwebhookconfigurations"][sluiceSA], "the server keeps the caBundle")

	require.Contains(t, p.interrupt(t), "sluice is taken out of context admin")
	takenOut(t)
}

func TestNobodysWriteFailsWhileDevStartsAndStops(t *testing.T) {
	kubectl(t, "admin", "create", "namespace", "calm")
	kubectl(t, "admin", "label", "namespace", "calm", "sluice.dev/enabled=true")
	t.Cleanup(func() { kubectl(t, "admin", "delete", "namespace", "calm", "--wait=false") })
	stop, failures, count := make(chan struct{}), make(chan string, 1), make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				count <- n
				return
			default:
			}
			if out, err := try("alice", "-n", "calm", "create", "deployment", "web", "--image=example/web:v1", "--dry-run=server"); err != nil {
				select {
				case failures <- out:
				default:
				}
			}
		}
	}()

	start(t).serves(t).interrupt(t)
	takenOut(t)

	close(stop)
	require.Positive(t, <-count)
	require.Empty(t, failures)
}

func TestOneDevAtATime(t *testing.T) {
	first := start(t).serves(t)
	before := installed(t)

	require.Contains(t, start(t).fails(t), "another sluice dev serves this cluster")

	require.Equal(t, before, installed(t))
	first.interrupt(t)
	takenOut(t)
}

func TestAnInstalledSluiceIsLeftAlone(t *testing.T) {
	kubectl(t, "admin", "create", "clusterrole", "sluice", "--verb=get", "--resource=pods")

	require.Contains(t, start(t).fails(t), "sluice is installed in this cluster already (clusterrole/sluice)")

	require.Equal(t, "clusterrole.rbac.authorization.k8s.io/sluice", installed(t))
	kubectl(t, "admin", "delete", "clusterrole", "sluice")
}

func TestAURLThatTheAPIServerCannotReachBlocksNobody(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	here, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, here.Close())

	said := start(t, "--url", "https://"+closed.Addr().String(), "--listen", here.Addr().String()).fails(t)

	require.Contains(t, said, "the API server cannot call this process")
	require.Contains(t, said, "connection refused")
	require.Contains(t, said, "--url")
	takenOut(t)
}

func TestWhatAKilledDevHeldStaysHeldAndTheNextOneTakesItOver(t *testing.T) {
	first := start(t).serves(t)
	shop(t, "killed")
	kubectl(t, "alice", "-n", "killed", "set", "image", "deployment/web", "*=example/web:v2")
	held(t, "killed")

	first.kill()
	out, err := try("alice", "-n", "killed", "set", "image", "deployment/web", "*=example/web:v3")
	require.Error(t, err, "nobody gates this write, so it is refused")
	require.Contains(t, out, "releases.sluice.dev")

	begun := time.Now()
	second := start(t).serves(t)
	require.Less(t, time.Since(begun), 10*time.Second, "a dev that was killed on this machine is not waited for")
	kubectl(t, "alice", "-n", "killed", "rollout", "resume", "deployment/web")
	kubectl(t, "alice", "-n", "killed", "rollout", "status", "deployment/web", "--timeout=60s")
	second.interrupt(t)
	takenOut(t)
}

func TestWhoIsStillHeldAtCtrlCIsToldHowToGoOn(t *testing.T) {
	p := start(t).serves(t)
	shop(t, "later")
	kubectl(t, "alice", "-n", "later", "set", "image", "deployment/web", "*=example/web:v2")
	held(t, "later")

	said := p.interrupt(t)

	const command = "kubectl -n later rollout resume deployment/web"
	require.Contains(t, said, command+"   # Waiting, step 1")
	takenOut(t)
	kubectl(t, "alice", strings.Fields(command)[1:]...)
	kubectl(t, "alice", "-n", "later", "rollout", "status", "deployment/web", "--timeout=60s")
	require.Equal(t, "2", kubectl(t, "alice", "-n", "later", "get", "deployment", "web", "-o", "jsonpath={.status.updatedReplicas}"))
}
