package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

// refused requires a command to fail, with the words of its golden file, and the release to stay.
func refused(t *testing.T, n *harness.Namespace, name, user string, args ...string) {
	t.Helper()
	before := n.Release("web")
	r := sluice(t, n, user, args...)
	require.Equal(t, 1, r.Code, r)
	golden(t, n, name, r)
	require.Equal(t, before, n.Release("web"))
}

func TestARefusalReachesTheUserWhole(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 100%"))
	n.Create(web().Obj())
	refused(t, n, "refused-without-a-release", "alice", "promote", "deploy/web")
	n.SetImage("web", "example/unready:v2")
	n.WaitPhase("web", canary.Progressing, 1)
	n.PodsOfEventually("web", "example/unready:v2", 1)
	refused(t, n, "refused-not-ready", "alice", "promote", "deploy/web")
	refused(t, n, "refused-retry-of-what-was-not-aborted", "alice", "retry", "deploy/web")

	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	for user, name := range map[string]string{"carol": "may-not-write", "bob": "may-not-promote"} {
		refused(t, n, "refused-promote-"+name, user, "promote", "deploy/web")
		refused(t, n, "refused-abort-"+name, user, "abort", "deploy/web")
	}
	refused(t, n, "refused-as-somebody-else", "admin", "promote", "deploy/web", "--as=carol", "--as-group=viewers")
	refused(t, n, "refused-another-release", "alice", "promote", "deploy/web", "--release=1")
	for _, user := range []string{"carol", "bob"} {
		r := sluice(t, n, user, "status", "deploy/web")
		require.Zero(t, r.Code, r)
		golden(t, n, "status-of-whom-may-only-look", r)
	}
}

func TestAnApprovalByTheAuthorIsRefusedWhereFourEyesAreWanted(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Annotation(canary.ApprovalAnnotation, "four-eyes"))
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	golden(t, n, "status-four-eyes", must(t, n, "status", "deploy/web"))
	refused(t, n, "refused-four-eyes", "alice", "promote", "deploy/web")
	n.Mark("web", watch.Approved)
	r := sluice(t, n, "admin", "promote", "deploy/web")
	require.Zero(t, r.Code, r)
	must(t, n, "wait", "deploy/web", "--for=promoted", "--timeout=60s")
	n.WaitStable("web")
}

func TestWhatIsApprovedAlreadyIsSaidAndNotRepeated(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	reached, release := env.Proxy.Hold(n.Name, func(w harness.Write) bool { return w.Resource == "deployments" })
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	<-reached // the controller is on its way to the promotion
	again := must(t, n, "promote", "deploy/web")
	release()
	golden(t, n, "promote-again", again)
	n.WaitStable("web")
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	for name, args := range map[string][]string{
		"refused-no-such-deployment": {"status", "deploy/wbe"},
		"refused-no-such-context":    {"list", "--context=nowhere"},
		"refused-no-such-kind":       {"status", "service/web"},
	} {
		r := sluice(t, n, "alice", args...)
		require.Equal(t, 1, r.Code, r)
		golden(t, n, name, r)
	}
}
