package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// left counts what is there of web and of sluice.
func left(ctx context.Context, n *harness.Namespace) (replicaSets, pods, records int, err error) {
	sets, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, 0, err
	}
	all, err := n.Admin.CoreV1().Pods(n.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, 0, err
	}
	revisions, err := n.Admin.AppsV1().ControllerRevisions(n.Name).List(ctx, metav1.ListOptions{LabelSelector: canary.WorkloadLabel})
	if err != nil {
		return 0, 0, 0, err
	}
	return len(sets.Items), len(all.Items), len(revisions.Items), nil
}

// TestDeletingADeploymentInTheMiddleOfAReleaseStrandsNothing deletes it with each cascade policy.
func TestDeletingADeploymentInTheMiddleOfAReleaseStrandsNothing(t *testing.T) {
	t.Parallel()
	for _, cascade := range []string{"background", "foreground", "orphan"} {
		t.Run(cascade, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			n.Create(web().Obj())
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
			stable := n.PodsOf("web", v1)
			n.Kubectl("delete", "deployment/web", "--cascade="+cascade, "--wait")
			wantSets, wantPods := 0, 0
			if cascade == "orphan" {
				wantSets, wantPods = 1, 3 // the canary was approved by nobody, so it goes
			}
			n.Eventually("what belonged to it is gone, or left", func(ctx context.Context) error {
				sets, pods, records, err := left(ctx, n)
				if err != nil {
					return err
				}
				if sets != wantSets || pods != wantPods || records != 0 {
					return fmt.Errorf("%d replica sets, %d pods and %d records are there", sets, pods, records)
				}
				return nil
			})
			d := n.Create(web().Obj()) // orphans are taken in
			require.Empty(t, d.Labels[canary.ActiveLabel])
			require.False(t, d.Spec.Paused)
			if cascade == "orphan" {
				require.Equal(t, stable, n.PodsOf("web", v1))
			}
			n.SetImage("web", v2)
			requireHeld(t, n, v2, 1, 3)
		})
	}
	t.Run("orphaned while the canary is adopted, it keeps running", func(t *testing.T) {
		t.Parallel()
		n := env.Namespace(t)
		n.Create(web().Obj())
		n.SetImage("web", v2)
		proceed := reachHeld(finishes)(t, n)
		n.Kubectl("delete", "deployment/web", "--cascade=orphan", "--wait")
		proceed()
		n.Eventually("the replica sets are unmarked", func(ctx context.Context) error {
			marked, err := n.Admin.AppsV1().ReplicaSets(n.Name).List(ctx, metav1.ListOptions{LabelSelector: canary.WorkloadLabel})
			if err != nil || len(marked.Items) > 0 {
				return errors.Join(err, errors.New("one is marked"))
			}
			sets, pods, records, err := left(ctx, n)
			if err != nil {
				return err
			}
			if sets != 2 || pods != 4 || records != 0 {
				return fmt.Errorf("%d replica sets, %d pods and %d records are there", sets, pods, records)
			}
			return nil
		})
	})
}
