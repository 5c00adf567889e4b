package ownership

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/webhook/ownership"
)

// day is a namespace of the strictest kind: every manager that writes in these tests is protected, so whatever
// is taken from anybody would be refused.
func day(t *testing.T) *harness.Namespace {
	t.Helper()
	n := env.Namespace(t, harness.Annotation(ownership.ModeAnnotation, "enforce"), harness.Steps("50%"),
		harness.Annotation(ownership.ProtectAnnotation, "helm, kubectl, kubectl-client-side-apply, kubectl-create, kubectl-edit, kubectl-set, kubectl-patch, "+
			"kubectl-rollout, kubectl-annotate, kubectl-label, kubectl-replace, kube-controller-manager, kubectl-sluice, m00, m01, m02, m03"))
	n.Unjudged() // releases are judged elsewhere
	return n
}

// requireNoAlarm requires by the audit log that sluice judged at least so many writes, and took none for theft.
func requireNoAlarm(t *testing.T, n *harness.Namespace, atLeast int) {
	t.Helper()
	verdicts := 0
	for _, resource := range []string{"deployments", "statefulsets", "daemonsets"} {
		for _, key := range []string{"owners.sluice.dev/warned", "owners.sluice.dev/refused", "owners.sluice.dev/untraced", "scale.sluice.dev/warned"} {
			require.Empty(t, n.AuditAnnotations(resource, key), key)
		}
		for _, key := range []string{"owners.sluice.dev/verdict", "scale.sluice.dev/verdict"} {
			for _, verdict := range n.AuditAnnotations(resource, key) {
				require.Contains(t, []string{"Allowed", "Unchanged"}, verdict, resource)
				verdicts++
			}
		}
	}
	require.GreaterOrEqual(t, verdicts, atLeast)
}

// Install, upgrade with and without a new version, canary, approval, abort by rollback, uninstall.
func TestADayWithHelmRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	for _, helm := range []string{"helm3", "helm4"} {
		t.Run(helm, func(t *testing.T) {
			t.Parallel()
			n := day(t)
			upgrade := func(values string) {
				t.Helper()
				n.Run(helm, "upgrade", "web", harness.Chart(), "--set", values)
			}
			n.Run(helm, "install", "web", harness.Chart(), "--set", "replicas=2,image="+v1)
			n.WaitStable("web")
			n.WaitConfigSeen("web")
			upgrade("replicas=3,image=" + v1)
			upgrade("replicas=3,image=" + v1 + ",annotations.team=shop")
			upgrade("replicas=3,image=" + v1) // takes its own annotation away
			n.WaitStable("web")
			upgrade("replicas=3,image=" + v2)
			n.WaitPhase("web", "Waiting", 1)
			upgrade("replicas=4,image=" + v2)
			n.Kubectl("rollout", "resume", "deploy/web")
			n.WaitStable("web")
			upgrade("replicas=4,image=" + v1)
			n.WaitPhase("web", "Waiting", 1)
			n.Run(helm, "rollback", "web")
			n.WaitStable("web")
			upgrade("replicas=4,greeting=hi,image=" + v2)
			n.WaitPhase("web", "Waiting", 1)
			requireNoAlarm(t, n, 10)
			n.Run(helm, "uninstall", "web")
		})
	}
}

// A release that Helm 3 made goes on with Helm 4, first as it was, then applied server-side.
func TestFromHelm3ToHelm4RaisesNoAlarm(t *testing.T) {
	t.Parallel()
	n := day(t)
	n.Run("helm3", "install", "web", harness.Chart(), "--set", "replicas=2,image="+v1)
	n.WaitStable("web")
	n.WaitConfigSeen("web")
	n.Run("helm4", "upgrade", "web", harness.Chart(), "--set", "replicas=3,image="+v1)
	n.Run("helm4", "upgrade", "web", harness.Chart(), "--set", "replicas=2,image="+v1, "--server-side=true")
	n.Run("helm4", "upgrade", "web", harness.Chart(), "--set", "replicas=3,image="+v1)
	n.WaitStable("web")
	requireNoAlarm(t, n, 3)
}

// What one person does with kubectl, whatever the commands call themselves.
func TestADayWithKubectlRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	n := day(t)
	web := func(image, replicas string) string {
		return n.File("web.yaml", []byte(strings.Replace(strings.Replace(applied, v1, image, 1), "replicas: 1", "replicas: "+replicas, 1)))
	}
	n.Kubectl("apply", "-f", web(v1, "2"))
	n.WaitStable("web")
	n.Kubectl("apply", "-f", web(v1, "3"))
	n.Edit("deploy/web", "team: shop", "team: other")
	n.Kubectl("scale", "deploy/web", "--replicas=2")
	n.Kubectl("annotate", "deploy/web", "example.com/a=1")
	n.Kubectl("annotate", "deploy/web", "example.com/a-")
	n.Kubectl("label", "deploy/web", "a=b")
	n.Kubectl("patch", "deploy/web", "-p", `{"spec":{"minReadySeconds":1}}`)
	n.WaitStable("web")

	// From client-side to server-side, which takes over the claims, and back and forth.
	n.Kubectl("apply", "--server-side", "--force-conflicts", "-f", web(v1, "3"))
	n.Kubectl("apply", "--server-side", "-f", web(v1, "2"))
	n.Kubectl("apply", "-f", web(v1, "3"))
	n.WaitStable("web")

	n.Kubectl("set", "image", "deploy/web", "app="+v2)
	n.WaitPhase("web", "Waiting", 1)
	require.NoError(t, env.BuildPlugin())
	drive := func(args ...string) {
		t.Helper()
		r := n.Plugin("alice", args...)
		require.Zero(t, r.Code, r)
	}
	drive("promote", "deploy/web", "--full")
	n.WaitStable("web")
	n.Kubectl("set", "image", "deploy/web", "app="+v1)
	n.WaitPhase("web", "Waiting", 1)
	drive("abort", "deploy/web")
	n.WaitPhase("web", "Aborted", 1)
	n.Kubectl("set", "image", "deploy/web", "app="+v2)
	n.WaitStable("web")
	n.Kubectl("rollout", "restart", "deploy/web")
	n.WaitPhase("web", "Waiting", 1)
	n.Kubectl("rollout", "resume", "deploy/web")
	n.WaitStable("web")
	n.Kubectl("rollout", "undo", "deploy/web")
	n.WaitPhase("web", "Waiting", 1)
	n.Kubectl("rollout", "resume", "deploy/web")
	n.WaitStable("web")
	n.Kubectl("replace", "-f", web("example/web:v3", "2"))
	n.WaitPhase("web", "Waiting", 1)
	requireNoAlarm(t, n, 20)
}

// GitOps: one tool that applies, over and over, beside another for a field of its own.
func TestADayOfTwoAppliersRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	n := day(t)
	whole := func(image string) string {
		return n.File("web.yaml", []byte(strings.Replace(strings.Replace(applied, v1, image, 1), "  replicas: 1\n", "", 1)))
	}
	replicas := func(count int) string {
		return n.File("replicas.yaml", fmt.Appendf(nil, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: %d}}", count))
	}
	apply := func(manager, file string) {
		t.Helper()
		n.Kubectl("apply", "--server-side", "--field-manager="+manager, "-f", file)
	}
	apply("kustomize-controller", whole(v1))
	n.WaitStable("web")
	for count := 2; count <= 4; count++ {
		apply("keda", replicas(count))
		apply("kustomize-controller", whole(v1))
	}
	n.WaitStable("web")
	apply("kustomize-controller", whole(v2))
	n.WaitPhase("web", "Waiting", 1)
	n.Kubectl("rollout", "resume", "deploy/web")
	n.WaitStable("web")
	requireNoAlarm(t, n, 6)
}

// Of more than ten managers that update, the API server puts the oldest together: their claims go, to nobody
// who asked.
func TestTheEleventhManagerRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	n := day(t)
	n.Kubectl("apply", "-f", n.File("web.yaml", []byte(applied)))
	n.WaitStable("web")
	for i := range 14 {
		manager := fmt.Sprintf("m%02d", i)
		_, err := n.Admin.AppsV1().Deployments(n.Name).Patch(t.Context(), "web", types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:"1"}}}`, manager), metav1.PatchOptions{FieldManager: manager})
		require.NoError(t, err)
	}
	managers := func() (names []string) {
		for _, e := range n.Deployment("web").ManagedFields {
			names = append(names, e.Manager)
		}
		return names
	}
	require.True(t, slices.Contains(managers(), "ancient-changes"), managers())
	requireNoAlarm(t, n, 13)
}

// Controllers write beside people: the one of Deployments its revision, that of StatefulSets and of DaemonSets
// their status, the autoscaler its replicas.
func TestControllersRaiseNoAlarm(t *testing.T) {
	t.Parallel()
	n := day(t)
	objects := n.File("all.yaml", []byte(applied+`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: "example/db:v1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: app, image: "example/agent:v1"}]}
`))
	n.Kubectl("apply", "--server-side", "-f", objects)
	n.WaitStable("web")
	content, err := os.ReadFile(filepath.Clean(objects))
	require.NoError(t, err)
	n.Kubectl("apply", "--server-side", "-f", n.File("next.yaml", []byte(strings.ReplaceAll(string(content), ":v1", ":v2"))))
	n.WaitPhase("web", "Waiting", 1)
	n.Kubectl("rollout", "resume", "deploy/web")
	n.WaitStable("web")
	n.Kubectl("rollout", "status", "daemonset/agent")
	requireNoAlarm(t, n, 3)
}
