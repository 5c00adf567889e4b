package statefulset

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/builders"
	"sluice.dev/sluice/test/e2e/harness"
)

func waitReason(t *testing.T, db harness.Set, want ...string) {
	t.Helper()
	db.Eventually("the release says what ails it", func(context.Context) error {
		r := db.Release()
		for _, part := range want {
			if !strings.Contains(r.Reason, part) {
				return fmt.Errorf("it says %q", r.Reason)
			}
		}
		return nil
	})
	require.Equal(t, canary.Progressing, db.Release().Phase)
}

// TestWhatAilsACanaryPodIsSaidAtOnce: the step's deadline is ten minutes.
func TestWhatAilsACanaryPodIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("a crash loop", func(t *testing.T) {
		t.Parallel()
		db := env.Namespace(t).CreateSet(db().Obj())
		db.SetImage("example/app:crash")
		waitReason(t, db, "pod db-3 container app: ", "exit code")
	})
	// A quota is less than what runs already, and whatever else forbids pods forbids those that run too, so that
	// a pod that is replaced does not come back. Only Events tell of it.
	for name, test := range map[string]struct {
		forbid func(ctx context.Context, n *harness.Namespace) error
		want   string
	}{
		"an exceeded quota": {want: "exceeded quota", forbid: func(ctx context.Context, n *harness.Namespace) error {
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods"}}
			quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
			_, err := n.Admin.CoreV1().ResourceQuotas(n.Name).Create(ctx, quota, metav1.CreateOptions{})
			return err
		}},
		"pod security": {want: "violates PodSecurity", forbid: func(_ context.Context, n *harness.Namespace) error {
			n.Label("pod-security.kubernetes.io/enforce", "restricted")
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			db := n.CreateSet(builders.MakeStatefulSet("db").Replicas(3).Obj())
			require.NoError(t, test.forbid(t.Context(), n))
			db.SetImage(v2)
			waitReason(t, db, "db-2", test.want)
		})
	}
}
