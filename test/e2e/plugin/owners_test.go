package plugin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/cmd/kubectl-sluice/report"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/webhook/ownership"
)

// owned makes a Deployment that "ci" applies, that an autoscaler scales and that somebody edits.
func owned(t *testing.T) *harness.Namespace {
	t.Helper()
	n := env.Namespace(t, harness.Annotation(ownership.ModeAnnotation, "enforce"))
	n.Kubectl("apply", "--server-side", "--field-manager=ci", "-f", n.Manifest(web().Env("MODE", "blue").Sidecar("proxy", "example/proxy:v3").Obj()))
	n.Kubectl("annotate", "deployment/web", "example.com/team=blue")
	scaled := n.Command("admin", "kubectl", "patch", "deployment", "web", "--subresource=scale", "--type=merge", `-p={"spec":{"replicas":3}}`,
		"--field-manager=kube-controller-manager", "--as=system:serviceaccount:kube-system:horizontal-pod-autoscaler", "--as-group=system:masters")
	require.Zero(t, scaled.Code, scaled)
	n.WaitStable("web")
	return n
}

func TestOwnersAreThoseThatTheAPIServerKnows(t *testing.T) {
	t.Parallel()
	n := owned(t)
	golden(t, n, "owners", must(t, n, "owners", "deploy/web"))
	golden(t, n, "owners-all", must(t, n, "owners", "deployment", "web", "--all"))

	var shown report.FieldOwners
	require.NoError(t, json.Unmarshal([]byte(must(t, n, "owners", "deploy/web", "-o", "json").Stdout), &shown))
	owners := map[string]string{}
	for _, field := range shown.Fields {
		for _, o := range field.Owners {
			owners[field.Path] += fmt.Sprintf("%s %s %s %s;", o.Manager, o.Operation, o.Subresource, o.PlainWrite)
		}
	}
	require.Subset(t, owners, map[string]string{
		".spec.replicas": "kube-controller-manager Update scale refused;",
		`.spec.template.spec.containers[name="app"].image`:        "ci Apply  refused;",
		".metadata.annotations.example.com/team":                  "kubectl-annotate Update  warned;",
		".metadata.annotations.deployment.kubernetes.io/revision": "kube-controller-manager Update status ignored;",
	})

	n.Kubectl("create", "configmap", "web", "--from-literal=log.level=info")
	for _, args := range [][]string{{"cm/web"}, {"configmaps", "web"}, {"ConfigMap/web"}} {
		require.Contains(t, must(t, n, append([]string{"owners"}, args...)...).Stdout, ".data.log.level", args)
	}
	missing := sluice(t, n, "alice", "owners", "svc/web")
	require.Equal(t, 1, missing.Code, missing)
	require.Contains(t, missing.Stderr, "error: service/web does not exist in namespace "+n.Name)
}

func TestTheConflictsOfAFileAreThoseOfAnApply(t *testing.T) {
	t.Parallel()
	n := owned(t)
	other := web().Replicas(7).Image(v2).Env("MODE", "green").Sidecar("proxy", "example/proxy:v3").Annotation("example.com/team", "green")
	file := n.Manifest(other.Obj())
	before := n.Deployment("web").ResourceVersion

	found := sluice(t, n, "alice", "owners", "-f", file)
	golden(t, n, "owners-file", found)
	require.Equal(t, 1, found.Code, found)
	structured := sluice(t, n, "alice", "owners", "-f", file, "-o", "json")
	require.Equal(t, before, n.Deployment("web").ResourceVersion, "nothing is written")

	applied := n.Command("alice", "kubectl", "apply", "--server-side", "-f", file)
	require.NotZero(t, applied.Code, applied)
	require.ElementsMatch(t, conflictsOfKubectl(applied.Stderr), conflictsOf(t, structured.Stdout))

	for field, args := range map[string][]string{
		".spec.replicas": {"patch", "deployment/web", `-p={"spec":{"replicas":7}}`},
		`.spec.template.spec.containers[name="app"].image`:                  {"set", "image", "deployment/web", "app=" + v2},
		`.spec.template.spec.containers[name="app"].env[name="MODE"].value`: {"set", "env", "deployment/web", "MODE=green"},
	} {
		require.Contains(t, found.Stdout, field)
		n.Refused("alice", []string{"Update failed with 1 conflict", field}, "kubectl", args...)
	}
	n.Kubectl("annotate", "--overwrite", "deployment/web", "example.com/team=blue")

	carol := sluice(t, n, "carol", "owners", "-f", file)
	require.Equal(t, 1, carol.Code, carol)
	require.Contains(t, carol.Stderr, "error: trying to apply deployment.apps/web in namespace "+n.Name+`: deployments.apps "web" is forbidden`)

	agreeing := web().Replicas(3).Env("MODE", "blue").Sidecar("proxy", "example/proxy:v3")
	agreed := must(t, n, "owners", "deploy/web", "-f", n.Manifest(agreeing.Obj()))
	require.Equal(t, "deployment.apps/web in namespace "+n.Name+": no conflict\n", agreed.Stdout)
	absent := must(t, n, "owners", "-f", n.File("new.json", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"}}`)))
	require.Equal(t, "configmap/new in namespace "+n.Name+": it does not exist yet, so nobody owns its fields\n", absent.Stdout)
}

// conflictsOf are lines like `"helm" using apps/v1: .spec.replicas`.
func conflictsOf(t *testing.T, text string) []string {
	t.Helper()
	var found report.FieldConflicts
	require.NoError(t, json.Unmarshal([]byte(text), &found))
	var lines []string
	for _, c := range found.Items[0].Conflicts {
		owner := ownership.Owner{Manager: c.Manager, Operation: c.Operation, APIVersion: c.APIVersion, Subresource: c.Subresource}
		lines = append(lines, fmt.Sprintf("%v: %s", owner, c.Field))
	}
	return lines
}

var ownerOfConflicts = regexp.MustCompile(`conflicts with (.*):$`)

// conflictsOfKubectl reads them from what kubectl says of several conflicts.
func conflictsOfKubectl(text string) []string {
	var lines []string
	owner := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if found := ownerOfConflicts.FindStringSubmatch(line); found != nil {
			owner = found[1]
		} else if field, ok := strings.CutPrefix(line, "- "); ok {
			lines = append(lines, owner+": "+field)
		}
	}
	return lines
}
