package eject

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestAWorkloadThatIsDeletedWhileSluiceIsDead leaves at most what eject clears away.
func TestAWorkloadThatIsDeletedWhileSluiceIsDead(t *testing.T) {
	var scenarios []scenario
	for _, cascade := range []string{"background", "foreground", "orphan"} {
		scenarios = append(scenarios, scenario{cascade, func(t *testing.T) func() {
			t.Helper()
			n := env.Namespace(t)
			n.Unjudged() // a Deployment that is not there has no limits
			bothWait(n, "namespace", canary.EndPaused)
			return func() { deleted(t, n, cascade) }
		}})
	}
	whileDead(t, scenarios)
}

func deleted(t *testing.T, n *harness.Namespace, cascade string) {
	t.Helper()
	stable := n.PodsOf("web", v1)
	n.Kubectl("delete", "deployment/web", "statefulset/db", "--cascade="+cascade, "--wait")
	wantPods := 0
	if cascade == "orphan" {
		wantPods = 4 + 3
		requireMarked(t, n)
		t.Log(ejected(t, n, "deploy/web"))
	}
	n.Eventually("its pods are gone, or left", func(ctx context.Context) error {
		list, err := n.Admin.CoreV1().Pods(n.Name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != wantPods {
			return fmt.Errorf("%d pods are there, %d are wanted", len(list.Items), wantPods)
		}
		sets, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(ctx, metav1.ListOptions{LabelSelector: canary.WorkloadLabel})
		if err != nil || len(sets.Items) > 0 {
			return errors.Join(err, errors.New("marked replica sets are there"))
		}
		return nil
	})
	requireNothingMarked(t, n)
	n.OptOut() // what is created with sluice dead is refused otherwise
	n.Eventually("the API server has noticed", func(ctx context.Context) error {
		_, err := n.Admin.AppsV1().Deployments(n.Name).Create(ctx, web().Obj(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
	n.Create(web().Obj())
	harness.Set{Namespace: n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj()).Namespace}.WaitComplete()
	if cascade == "orphan" {
		require.Equal(t, stable, n.PodsOf("web", v1), "orphans are taken in")
	}
}

func requireMarked(t *testing.T, n *harness.Namespace) {
	t.Helper()
	sets, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(t.Context(), metav1.ListOptions{LabelSelector: canary.WorkloadLabel})
	require.NoError(t, err)
	require.Len(t, sets.Items, 1, "the canary is left while nobody clears it away")
}
