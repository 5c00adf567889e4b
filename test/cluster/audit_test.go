package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWritesNameTheirAuthor(t *testing.T) {
	ns := namespace(t)
	kubectl(t, "bob", "create", "deployment", "web", "-n", ns, "--image=example/web:v1")
	kubectl(t, "bob", "scale", "deployment", "web", "-n", ns, "--replicas=2")
	kubectl(t, "alice", "set", "image", "deployment/web", "-n", ns, "web=example/web:v2", "--dry-run=server")
	_, err := tryKubectl("carol", "", "delete", "deployment", "web", "-n", ns)
	require.Error(t, err)
	kubectl(t, "alice", "rollout", "status", "deployment/web", "-n", ns, "--timeout=30s")

	type row struct {
		user, verb, subresource string
		code                    int
		dryRun                  bool
	}
	want := []row{
		{"bob", "create", "", 201, false},
		{"bob", "patch", "scale", 200, false},
		{"alice", "patch", "", 200, true},
		{"carol", "delete", "", 403, false},
	}
	var got []row
	controller := 0
	writes, err := shared.Writes()
	require.NoError(t, err)
	for _, w := range writes {
		if w.Namespace != ns || w.Resource != "deployments" || w.Group != "apps" {
			continue
		}
		if w.User == "system:serviceaccount:kube-system:deployment-controller" {
			controller++
			continue
		}
		got = append(got, row{w.User, w.Verb, w.Subresource, w.Code, w.DryRun})
	}
	require.Equal(t, want, got)
	require.Positive(t, controller)
}
