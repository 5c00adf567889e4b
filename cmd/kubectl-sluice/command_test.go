package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8stesting "k8s.io/client-go/testing"

	"sluice.dev/sluice/test/builders"
)

func TestWhatMeansNothingIsRefusedWithTheWayOut(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown command":             {[]string{"statu"}, `unknown command "statu" (did you mean status?); kubectl sluice --help lists the commands`},
		"an unknown flag":                {[]string{"list", "--wide"}, `unknown flag: --wide; kubectl sluice list --help lists the flags`},
		"no workload":                    {[]string{"status"}, `which workload? Name it like deployment/web or statefulset/db`},
		"a workload without its kind":    {[]string{"status", "web"}, `is "web" a deployment or a statefulset? Name it like deployment/web`},
		"a kind without a name":          {[]string{"status", "deploy"}, `which deployment? Name it like deployment/NAME`},
		"a kind that has no releases":    {[]string{"status", "ds/web"}, `"ds" is no kind that can have a release: deployment and statefulset are`},
		"two workloads":                  {[]string{"status", "deploy/web", "deploy/api"}, `deploy/web deploy/api: one workload at a time`},
		"a name with a slash":            {[]string{"status", "deploy/web/x"}, `"web/x" is not the name of a deployment`},
		"an output that does not exist":  {[]string{"status", "deploy/web", "-o", "wide"}, `--output=wide: want one of json, yaml`},
		"an argument that is not needed": {[]string{"list", "web"}, `unexpected argument "web"; kubectl sluice list --help shows how it is used`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSession(newWorld().objects()...)
			require.Equal(t, 1, s.run(t, test.args...))
			require.Equal(t, "error: "+test.want+"\n", s.err.String())
			require.Empty(t, s.out.String())
		})
	}
}

func TestWorkloadsAreNamedAsForKubectl(t *testing.T) {
	for _, args := range []string{
		"deploy/web", "deployment/web", "deployments/web", "deployments.apps/web", "deployment.v1.apps/web", "deployments.v1.apps/web",
		"deploy web", "Deployment web", "deployments.apps web",
	} {
		s := newSession(newWorld().objects()...)
		require.Zero(t, s.run(t, append([]string{"status"}, strings.Fields(args)...)...), args)
		require.Contains(t, s.out.String(), "Name:        deployment/web\n", args)
	}
}

// forbid refuses a verb as the API server does where a role is missing.
func (s *session) forbid(verb, resource string) {
	s.client.PrependReactor(verb, resource, func(action k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", apierrors.NewBadRequest(`User "dave" cannot `+verb+` resource "`+resource+`"`))
	})
}

func TestWhatTheUserMayNotReadIsLeftOut(t *testing.T) {
	tests := map[string]struct {
		resources []string
		args      []string
		lost      bool // the stable ReplicaSet is gone
	}{
		"forbidden-pods":          {resources: []string{"pods"}, args: []string{"status", "deploy/web"}},
		"forbidden-replicasets":   {resources: []string{"replicasets", "controllerrevisions"}, args: []string{"status", "deploy/web"}},
		"forbidden-records":       {resources: []string{"controllerrevisions"}, args: []string{"status", "deploy/web"}, lost: true},
		"forbidden-statefulsets":  {resources: []string{"statefulsets"}, args: []string{"list"}},
		"forbidden-canaries":      {resources: []string{"replicasets"}, args: []string{"list"}},
		"forbidden-no-exceptions": {resources: []string{"controllerrevisions"}, args: []string{"status", "deploy/web"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if test.lost {
				w.stable = nil
			}
			s := newSession(w.objects()...)
			for _, resource := range test.resources {
				s.forbid("list", resource)
			}
			require.Zero(t, s.run(t, test.args...), s.err.String())
			golden(t, name, s.out.String()+s.err.String())
		})
	}
}

func TestWhoMayReadNothingIsTold(t *testing.T) {
	s := newSession(newWorld().objects()...)
	s.forbid("get", "deployments")
	for _, resource := range []string{"deployments", "statefulsets"} {
		s.forbid("list", resource)
	}
	require.Equal(t, 1, s.run(t, "status", "deploy/web"))
	require.Equal(t, `error: reading deployment/web in namespace shop: deployments.apps is forbidden: User "dave" cannot get resource "deployments"`+"\n", s.err.String())
	require.Equal(t, 1, s.run(t, "list", "-A"))
	require.Equal(t, `error: listing statefulsets with a release: statefulsets.apps is forbidden: User "dave" cannot list resource "statefulsets"`+"\n", s.err.String())
}

func TestListsOfAllNamespacesAreSorted(t *testing.T) {
	other := newWorld()
	other.deployment.Namespace = "attic"
	objects := append(newWorld().objects(), other.deployment)
	other.objects()
	objects = append(objects, newSetWorld().objects()...)
	s := newSession(objects...)
	require.Zero(t, s.run(t, "list", "--all-namespaces"), s.err.String())
	golden(t, "list-of-all-namespaces", s.out.String()+s.err.String())
	require.Zero(t, s.run(t, "list", "-A", "-o", "yaml"), s.err.String())
	golden(t, "list-of-all-namespaces.yaml", s.out.String()+s.err.String())
	s = newSession()
	require.Zero(t, s.run(t, "list", "-A"))
	require.Equal(t, "No releases.\n", s.err.String())
	require.Zero(t, s.run(t, "list", "-o", "json"))
	require.JSONEq(t, `{"apiVersion": "sluice.dev/v1", "kind": "ReleaseStatusList", "items": []}`, s.out.String())
}

func TestCommandsThatAreShownReachTheSameCluster(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "it's mine")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`
clusters: [{name: c, cluster: {server: "https://cluster.example"}}]
contexts: [{name: staging, context: {cluster: c, namespace: shop}}]
`), 0o600))
	s := newSession(newWorld().objects()...)
	code := run(t.Context(), s.plugin(&s.out), []string{"kubectl-sluice", "status", "deploy/web", "--kubeconfig", kubeconfig, "--context=staging"})
	require.Zero(t, code, s.err.String())
	flags := ` --kubeconfig='` + strings.ReplaceAll(kubeconfig, "'", `'\''`) + `' --context=staging`
	require.Contains(t, s.out.String(), "\nTo promote:       kubectl sluice promote deployment/web -n shop"+flags+"\n")
}

func TestCompletion(t *testing.T) {
	promoted := builders.MakeDeployment("api").Obj()
	promoted.Namespace = namespace
	objects := append(newWorld().objects(), promoted, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "attic"}})
	objects = append(objects, newSetWorld().objects()...)
	const space, noSpace = ":4", ":6" // without file names; without a space behind
	tests := map[string]struct {
		args []string
		want []string
	}{
		"kinds":                               {[]string{"status", ""}, []string{"deployment/", "statefulset/", noSpace}},
		"a kind":                              {[]string{"status", "sta"}, []string{"statefulset/", noSpace}},
		"names":                               {[]string{"status", "deploy/"}, []string{"deploy/api", "deploy/web", space}},
		"a name":                              {[]string{"history", "deployment/w"}, []string{"deployment/web", space}},
		"names behind a kind":                 {[]string{"wait", "deployments", ""}, []string{"api", "web", space}},
		"only workloads that have a release":  {[]string{"promote", "deployment/"}, []string{"deployment/web", space}},
		"the same for StatefulSets":           {[]string{"abort", "sts", ""}, []string{"db", space}},
		"nothing behind a workload":           {[]string{"status", "deploy/web", ""}, []string{space}},
		"nothing for a kind without releases": {[]string{"status", "ds/"}, []string{space}},
		"what to wait for":                    {[]string{"wait", "deploy/web", "--for", ""}, []string{"held", "promoted", "aborted", space}},
		"outputs":                             {[]string{"list", "-o", ""}, []string{"json", "yaml", "wide", space}},
		"namespaces":                          {[]string{"list", "--namespace", "s"}, []string{"shop", space}},
		"commands":                            {[]string{"re"}, []string{"retry\tTry an aborted release again, from its first step", space}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSession(objects...)
			args := append([]string{"--server=https://cluster.example", "--namespace=" + namespace}, test.args...)
			require.Zero(t, run(t.Context(), s.plugin(&s.out), append([]string{"/usr/bin/" + completer}, args...)))
			require.Equal(t, test.want, strings.Split(strings.TrimSpace(s.out.String()), "\n"))
		})
	}
}
