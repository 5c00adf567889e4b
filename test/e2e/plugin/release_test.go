package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/drive"
	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestAReleaseIsShownApprovedAndWaitedFor(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("20%, 100%"))
	n.Create(web().Obj())
	golden(t, n, "status-before", must(t, n, "status", "deployment/web"))
	golden(t, n, "list-before", must(t, n, "list"))

	n.SetImage("web", v2)
	golden(t, n, "wait-held", must(t, n, "wait", "deploy", "web", "--for=held", "--timeout=60s"))
	golden(t, n, "status-held", must(t, n, "status", "deploy/web"))
	golden(t, n, "list-held", must(t, n, "list"))
	golden(t, n, "list-held-wide", must(t, n, "list", "-o", "wide"))
	golden(t, n, "history-held", must(t, n, "history", "deploy/web"))

	var status report.ReleaseStatus
	require.NoError(t, json.Unmarshal([]byte(must(t, n, "status", "deploy/web", "-o", "json").Stdout), &status))
	require.Equal(t, report.StatusKind, status.Kind)
	require.Equal(t, n.Release("web").ID, status.Release.ID)
	require.Equal(t, "Waiting", status.Release.Phase)
	require.Equal(t, []report.Step{{Weight: 20, Pods: 1, Wait: "approve"}, {Weight: 100, Pods: 4, Wait: "approve"}}, status.Release.Steps)
	require.Len(t, status.Revisions, 2)
	require.Len(t, status.Revisions[0].Pods, 4)
	require.Equal(t, []string{v2}, status.Canary().Images)
	require.Equal(t, "kubectl sluice promote deployment/web -n "+n.Name, status.Next[0].Run)

	n.Mark("web", watch.Approved)
	golden(t, n, "promote", must(t, n, "promote", "deploy/web", "--release", n.Release("web").Name()))
	requireOwned(t, n.Deployment("web"), canary.ApproveAnnotation)
	n.WaitPhase("web", canary.Waiting, 2)
	golden(t, n, "status-second-step", must(t, n, "status", "deploy/web"))

	id := n.Release("web").Name()
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	golden(t, n, "wait-promoted", must(t, n, "wait", "deploy/web", "--for=promoted", "--timeout=60s"))
	n.WaitStable("web")
	golden(t, n, "status-after", must(t, n, "status", "deploy/web"))
	golden(t, n, "history-after", must(t, n, "history", "deploy/web"))
	golden(t, n, "wait-promoted-again", must(t, n, "wait", "deploy/web", "--for=promoted"))
	golden(t, n, "wait-promoted-by-number", must(t, n, "wait", "deploy/web", "--for=promoted", "--release", id))
}

func TestAllStepsAreApprovedAtOnce(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("25%, 50%, 100%"))
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	n.Mark("web", watch.ApprovedFull)
	golden(t, n, "promote-full", must(t, n, "promote", "deploy/web", "--full"))
	must(t, n, "wait", "deploy/web", "--for=promoted", "--timeout=60s")
	n.WaitStable("web")
}

func TestABadReleaseIsShownAbortedAndTriedAgain(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Annotation(canary.DeadlineAnnotation, "6s"))
	n.Create(web().Obj())
	n.SetImage("web", "example/pull:v2")
	missed := sluice(t, n, "alice", "wait", "deploy/web", "--for=promoted", "--timeout=60s")
	require.Equal(t, 2, missed.Code, missed)
	golden(t, n, "wait-missed", missed)
	golden(t, n, "wait-aborted", must(t, n, "wait", "deploy/web", "--for=aborted"))
	n.PodsOfEventually("web", "example/pull:v2", 0)
	golden(t, n, "status-aborted", must(t, n, "status", "deploy/web"))
	golden(t, n, "list-aborted", must(t, n, "list"))

	id := n.Release("web").Name()
	n.Mark("web", watch.Retried)
	golden(t, n, "retry", must(t, n, "retry", "deploy/web"))
	superseded := sluice(t, n, "alice", "wait", "deploy/web", "--for=promoted", "--release", id)
	require.Equal(t, 2, superseded.Code, superseded)
	golden(t, n, "wait-superseded", superseded)
	n.PodsOfEventually("web", "example/pull:v2", 1)
	broken := must(t, n, "status", "deploy/web").Stdout
	require.Contains(t, broken, "Step 1 of 1: 0 of 1 canary pods are available")

	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	golden(t, n, "abort", must(t, n, "abort", "deploy/web"))
	golden(t, n, "abort-again", must(t, n, "abort", "deploy/web"))
	n.SetImage("web", v1)
	n.WaitStable("web")
}

func TestTheTimeToWaitIsOver(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	r := sluice(t, n, "alice", "wait", "deploy/web", "--for=promoted", "--timeout=1s")
	require.Equal(t, 3, r.Code, r)
	golden(t, n, "wait-timeout", r)
}

func TestAWaitOutlivesTheAPIServer(t *testing.T) {
	n := env.Namespace(t) // not in parallel: everybody's API server goes away
	n.AllowGaps()
	n.Create(web().Obj())
	n.SetImage("web", v2)
	must(t, n, "wait", "deploy/web", "--for=held", "--timeout=60s")
	cmd := command(t.Context(), "alice", "sluice", "wait", "deploy/web", "--for=promoted", "--timeout=80s", "-n", n.Name)
	waited := make(chan error, 1)
	var out []byte
	go func() {
		var err error
		out, err = cmd.CombinedOutput()
		waited <- err
	}()
	n.Eventually("it watches", func(ctx context.Context) error { return watched(ctx, n) })
	require.NoError(t, env.Cluster.Process("kube-apiserver").Restart(t.Context()))
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	require.NoError(t, <-waited, string(out))
	goldenText(t, n, "wait-promoted", string(out))
}

// requireOwned requires that the plugin owns one annotation and nothing else.
func requireOwned(t *testing.T, d *appsv1.Deployment, annotation string) {
	t.Helper()
	for _, entry := range d.ManagedFields {
		if entry.Manager == drive.FieldManager {
			require.JSONEq(t, `{"f:metadata": {"f:annotations": {"f:`+annotation+`": {}}}}`, entry.FieldsV1.GetRawString())
			return
		}
	}
	require.Fail(t, "the plugin owns nothing")
}

// watched tells whether somebody watches a single Deployment, as the API server counts it.
func watched(ctx context.Context, n *harness.Namespace) error {
	metrics, err := n.Admin.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "apiserver_longrunning_requests{") && strings.Contains(line, `resource="deployments"`) &&
			strings.Contains(line, `scope="resource"`) && strings.Contains(line, `verb="WATCH"`) && strings.HasSuffix(line, " 1\n") {
			return nil
		}
	}
	return errors.New("nobody does")
}
