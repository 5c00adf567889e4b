package eject

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// end is a patch that ends a release.
var end = fmt.Sprintf(`{"metadata":{"labels":{%q:null},"annotations":{%q:null}},"spec":{"paused":false}}`, canary.ActiveLabel, canary.ReleaseAnnotation)

// send sends a patch of web as the manager of eject.
func send(t *testing.T, n *harness.Namespace, user, patch string) error {
	t.Helper()
	_, err := env.Client(t, user).AppsV1().Deployments(n.Name).
		Patch(t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: canary.EjectManager})
	return err
}

const imagePatch = `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"example/app:v3"}]}}}}`

// TestNobodyWithoutThePermissionAndNothingButTheEndPasses asks the API server itself.
func TestNobodyWithoutThePermissionAndNothingButTheEndPasses(t *testing.T) {
	revive(t)
	n, idle := env.Namespace(t), env.Namespace(t)
	n.Create(web().Obj())
	idle.Create(web().Obj())
	n.SetImage("web", v2)
	waiting(n)
	before := n.Release("web")

	require.NoError(t, send(t, n, "alice", end), "sluice carries the state over")
	require.Equal(t, before, n.Release("web"))
	require.True(t, n.Deployment("web").Spec.Paused)
	r := n.Plugin("alice", "eject", "deploy/web", "--promote", "--yes")
	require.Equal(t, 1, r.Code, r)
	require.Contains(t, r.Stderr, "Missing: bypass deployments.apps/web in namespace "+n.Name)
	r = n.Plugin("alice", "eject", "--all", "--promote", "--yes")
	require.Equal(t, 1, r.Code, r)
	require.Contains(t, r.Stderr, "patch namespaces/"+n.Name)
	r = n.PluginEverywhere("alice", "eject", "--all", "-A", "--promote", "--yes")
	require.Equal(t, 1, r.Code, r)

	env.Sluice().Kill()
	for name, refused := range map[string]error{
		"somebody without the permission":       send(t, n, "alice", end),
		"a template while the release stays":    send(t, n, "admin", imagePatch),
		"a forged state":                        send(t, idle, "admin", fmt.Sprintf(`{"metadata":{"annotations":{%q:"{}"}}}`, canary.ReleaseAnnotation)),
		"a new version without a release":       send(t, idle, "admin", imagePatch),
		"the label without the state":           send(t, n, "admin", fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, canary.ActiveLabel)),
		"the state without the label":           send(t, n, "admin", fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, canary.ReleaseAnnotation)),
		"a new version, and a label of its own": send(t, idle, "admin", fmt.Sprintf(`{"metadata":{"labels":{%q:"true"}}}`, canary.ActiveLabel)),
	} {
		require.True(t, apierrors.IsInternalError(refused), "%s: %v", name, refused)
		require.ErrorContains(t, refused, "failed calling webhook", name)
	}
	require.Equal(t, before, n.Release("web"))
	r = idle.Plugin("admin", "eject", "deploy/web", "--yes")
	require.Equal(t, 1, r.Code, r)
	require.Contains(t, r.Stderr, "kubectl sluice eject --all -n "+idle.Name)
}

// TestTheAdministratorOfANamespaceEjectsItsWorkloads has the built-in role admin there, and nothing else.
func TestTheAdministratorOfANamespaceEjectsItsWorkloads(t *testing.T) {
	whileDead(t, []scenario{{"both kinds", func(t *testing.T) func() {
		t.Helper()
		n := env.Namespace(t)
		n.Unjudged()
		bothWait(n, "namespace", canary.EndReverted)
		_, err := n.Admin.RbacV1().RoleBindings(n.Name).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "nadine"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "nadine"}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		return func() {
			for _, what := range []string{"deployment/web", "statefulset/db"} {
				t.Log(ejected(t, n, what, "--revert", "--as=nadine", "--as-group=system:authenticated"))
			}
			requirePlain(t, n.Deployment("web"), true)
			requirePlain(t, harness.Set{Namespace: n}.Get(), true)
			n.PodsOfEventually("web", v1, 4)
			harness.Set{Namespace: n}.WaitImages(v1, v1, v1)
			judge(t, n)
		}
	}}})
}
