package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const podSummary = `jsonpath={.status.phase} {.status.conditions[?(@.type=="Ready")].status} ` +
	`{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].state.waiting.reason}`

func TestImageDecidesWhatBecomesOfAPod(t *testing.T) {
	ns := namespace(t)
	tests := map[string]struct{ image, want string }{
		"plain image is ready":                    {"example/web:v1", "Running True 0"},
		"latest is not late":                      {"nginx:latest", "Running True 0"},
		"unready image runs and is never ready":   {"example/unready:v1", "Running False 0"},
		"crashing image is in back-off":           {"example/web:v2-crash", "Running False 3 CrashLoopBackOff"},
		"image that cannot be pulled stays":       {"example/pull:v1", "Pending False 0 ImagePullBackOff"},
		"late image runs and is not ready so far": {"example/late-60s:v1", "Running False 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := podName(name)
			kubectl(t, "alice", "run", pod, "-n", ns, "--image", test.image)
			eventually(t, func() error {
				out, err := tryKubectl("alice", "", "get", "pod", pod, "-n", ns, "-o", podSummary)
				return same(out, test.want, err)
			})
		})
	}
}

func TestLatePodIsReadyAfterItsDelayAndNotBefore(t *testing.T) {
	ns := namespace(t)
	kubectl(t, "alice", "run", "late", "-n", ns, "--image", "example/late-2s:v1")
	expect(t, "Running True 0", "get", "pod", "late", "-n", ns, "-o", podSummary)
	at := func(path string) time.Time {
		out := kubectl(t, "alice", "get", "pod", "late", "-n", ns, "-o", "jsonpath="+path)
		when, err := time.Parse(time.RFC3339, out)
		require.NoError(t, err)
		return when
	}
	delay := at(`{.status.conditions[?(@.type=="Ready")].lastTransitionTime}`).Sub(at("{.status.startTime}"))
	require.GreaterOrEqual(t, delay, 2*time.Second)
	require.LessOrEqual(t, delay, 4*time.Second)
}

func TestStagesLeaveAConditionAloneThatATestHasPatched(t *testing.T) {
	ns := namespace(t)
	for _, image := range []string{"example/web:v1", "example/late-1s:v1"} {
		kubectl(t, "alice", "run", "patched", "-n", ns, "--image", image)
		expect(t, "Running True 0", "get", "pod", "patched", "-n", ns, "-o", podSummary)
		kubectl(t, "admin", "patch", "pod", "patched", "-n", ns, "--subresource=status", "-p",
			`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
		// A change of the pod makes kwok look at it again, and another pod's
		// whole start gives it the time to act.
		kubectl(t, "alice", "label", "pod", "patched", "-n", ns, "changed=yes")
		kubectl(t, "alice", "run", "other", "-n", ns, "--image", "example/late-1s:v1")
		expect(t, "Running True 0", "get", "pod", "other", "-n", ns, "-o", podSummary)
		expect(t, "Running False 0", "get", "pod", "patched", "-n", ns, "-o", podSummary)
		kubectl(t, "alice", "delete", "pod", "patched", "other", "-n", ns)
	}
}

func TestWorkloadsOfEveryKindBecomeReadyAndGoAway(t *testing.T) {
	ns := namespace(t)
	kubectl(t, "bob", "create", "deployment", "web", "-n", ns, "--image=example/web:v1", "--replicas=10")
	kubectl(t, "alice", "rollout", "status", "deployment/web", "-n", ns, "--timeout=30s")
	kubectl(t, "alice", "create", "job", "once", "-n", ns, "--image=example/web:v1")
	kubectl(t, "alice", "wait", "--for=condition=complete", "job/once", "-n", ns, "--timeout=30s")
	kubectl(t, "bob", "delete", "deployment", "web", "-n", ns)
	expect(t, "", "get", "pods", "-n", ns, "-l", "app=web", "-o", "name")
}
