package gitops

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/stretchr/testify/require"
)

// shown is what a tool makes of a workload.
type shown struct {
	flux    status.Status // kstatus, which Flux and Helm 4 wait by
	argo    string        // by manifests/argocd/health.yaml
	rollout string        // a piece of the line of `kubectl rollout status`
}

// TestWhatToolsShow repeats the table of README.
func TestWhatToolsShow(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]shown{
		"deployment/web": {
			"not ready": {status.InProgressStatus, "Progressing", "0 out of 3 new replicas have been updated"},
			"waiting":   {status.InProgressStatus, "Suspended", "0 out of 3 new replicas have been updated"},
			"aborted":   {status.FailedStatus, "Degraded", "0 out of 3 new replicas have been updated"},
			"promoted":  {status.CurrentStatus, "Healthy", "successfully rolled out"},
		},
		"statefulset/db": {
			"not ready": {status.InProgressStatus, "Progressing", "Waiting for 1 pods to be ready"},
			"waiting":   {status.CurrentStatus, "Suspended", "partitioned roll out complete: 1 new pods have been updated"},
			"aborted":   {status.FailedStatus, "Degraded", "partitioned roll out complete: 0 new pods have been updated"},
			"promoted":  {status.CurrentStatus, "Healthy", "partitioned roll out complete: 3 new pods have been updated"},
		},
	}
	inBothKinds(t, "20%", func(t *testing.T, w workload) {
		w.setImage(unready)
		w.requireShown("not ready", want[w.name]["not ready"])

		w.setImage(v2)
		w.waitPhase("Waiting")
		w.requireShown("waiting", want[w.name]["waiting"])

		w.abort()
		w.requireShown("aborted", want[w.name]["aborted"])

		w.retry()
		w.waitPhase("Waiting")
		w.approve()
		w.waitPhase("Promoted")
		w.requireShown("promoted", want[w.name]["promoted"])
	})
}

// requireShown requires that tools come to show this, and go on doing so while sluice and the native
// controllers rest.
func (w workload) requireShown(when string, want shown) {
	w.t.Helper()
	is := func(context.Context) error {
		if got := w.shown(); got.flux != want.flux || got.argo != want.argo || !strings.Contains(got.rollout, want.rollout) {
			return errors.New(strings.Join([]string{string(got.flux), got.argo, got.rollout}, "; "))
		}
		return nil
	}
	w.Eventually("it is shown as "+when, is)
	w.rest()
	require.NoError(w.t, is(w.t.Context()), "it stays shown as %s", when)
}

func (w workload) shown() shown {
	w.t.Helper()
	object := w.object()
	result, err := status.Compute(object)
	require.NoError(w.t, err)
	state, _ := argo(w.t, object)
	return shown{result.Status, state, w.Command("alice", "kubectl", "rollout", "status", w.name, "--watch=false").Stdout}
}
