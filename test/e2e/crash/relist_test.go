package crash

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// both holds v2 of a Deployment and of a StatefulSet.
func both(t *testing.T) (*harness.Namespace, harness.Set) {
	t.Helper()
	n := env.Namespace(t)
	n.Create(web().Obj())
	s := n.CreateSet(db().Obj())
	setImage(n, v2)
	s.SetImage(v2)
	n.WaitPhase("web", canary.Waiting, 1)
	s.WaitPhase(canary.Waiting, 1)
	s.WaitImages(v1, v1, v2)
	return n, s
}

// TestAWatchWhoseVersionIsGone: sluice sees nothing of the approvals, and the API server has forgotten them
// as events when it comes back: 410 Gone. It lists again and goes on.
func TestAWatchWhoseVersionIsGone(t *testing.T) {
	n, s := both(t)
	before := env.Proxy.Relists()
	mend := env.Proxy.BreakWatches()
	defer mend()
	approve(n)
	s.Approve()
	mend()
	n.WaitStable("web")
	s.WaitStable(v2)
	require.GreaterOrEqual(t, env.Proxy.Relists()-before, 3, "of Deployments, StatefulSets and ReplicaSets")
}

// TestRightsThatAreRevokedInTheMiddleOfARelease: what sluice may not write stays as it is and is said, and
// goes on once sluice may.
func TestRightsThatAreRevokedInTheMiddleOfARelease(t *testing.T) {
	n, s := both(t)
	roles := n.Admin.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), "sluice", metav1.GetOptions{})
	require.NoError(t, err)
	restore := func() {
		n.Eventually("the rights are given back", func(ctx context.Context) error {
			found, err := roles.Get(ctx, "sluice", metav1.GetOptions{})
			if err != nil {
				return err
			}
			found.Rules = role.Rules
			_, err = roles.Update(ctx, found, metav1.UpdateOptions{})
			return err
		})
	}
	defer restore()
	less := role.DeepCopy()
	for i, rule := range less.Rules {
		less.Rules[i].Verbs = readable(rule)
	}
	_, err = roles.Update(t.Context(), less, metav1.UpdateOptions{})
	require.NoError(t, err)
	approve(n)
	s.Approve()
	for _, name := range []string{"web", "db"} {
		require.Contains(t, n.WaitEvent(name, "ReleaseBlocked"), "forbidden")
	}
	require.True(t, n.Deployment("web").Spec.Paused)
	require.EqualValues(t, harness.Closed, s.Partition())
	restore()
	n.WaitStable("web")
	s.WaitStable(v2)
}

// readable returns the verbs of a rule without those that write to workloads.
func readable(rule rbacv1.PolicyRule) []string {
	if len(rule.APIGroups) == 1 && rule.APIGroups[0] == "apps" {
		return []string{"get", "list", "watch"}
	}
	return rule.Verbs
}

// TestANamespaceThatIsBeingDeletedInTheMiddleOfARelease: workloads and pods go one after another while sluice
// looks. It gives up soon, and does not fill its log.
func TestANamespaceThatIsBeingDeletedInTheMiddleOfARelease(t *testing.T) {
	n, s := both(t)
	n.Unjudged() // all pods go
	n.Kubectl("scale", "deployment/web", "--replicas=8")
	n.Kubectl("scale", "statefulset/db", "--replicas=8")
	before := len(env.Proxy.Writes(s.Name))
	require.NoError(t, n.Admin.CoreV1().Namespaces().Delete(t.Context(), n.Name, metav1.DeleteOptions{}))
	n.Eventually("nothing is left", func(ctx context.Context) error {
		_, err := n.Admin.CoreV1().Namespaces().Get(ctx, n.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return errors.New("the namespace is there")
		}
		return err
	})
	require.Less(t, len(env.Proxy.Writes(s.Name))-before, 30)
	log, err := os.ReadFile(env.SluiceLog())
	require.NoError(t, err)
	require.Less(t, strings.Count(string(log), "being terminated"), 20)
}
