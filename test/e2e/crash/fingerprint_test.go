package crash

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// fingerprint describes how everything stands, without what differs between any two runs: names, times,
// versions, and whoever poked.
func fingerprint(t *testing.T, n *harness.Namespace) string {
	t.Helper()
	d := n.Deployment("web")
	lines := []string{"spec: " + encode(t, d.Spec), "labels: " + encode(t, d.Labels)}
	for _, key := range slices.Sorted(maps.Keys(d.Annotations)) {
		switch key {
		case "example.com/poke", canary.ApproveAnnotation, canary.AbortAnnotation: // a user's; they name generations
		case canary.ReleaseAnnotation:
			r := n.Release("web")
			lines = append(lines, fmt.Sprintf("release: %s %s step %d, %d approvals, surge %d, held %+v, reason %q", r.Phase, r.Stage, r.Step, len(r.Approvals), r.Surge, r.Held, r.Reason))
		default:
			lines = append(lines, "annotation: "+key+"="+d.Annotations[key])
		}
	}
	for _, owned := range owners(t, d.ManagedFields) {
		lines = append(lines, "managed: "+owned)
	}
	var sets []string
	for _, rs := range n.ReplicaSets("web") {
		hash := rs.Labels["pod-template-hash"]
		if hash == "" {
			hash = rs.Spec.Template.Labels["pod-template-hash"]
		}
		labels := maps.Clone(rs.Labels)
		delete(labels, canary.ReleaseLabel)
		sets = append(sets, strings.ReplaceAll(fmt.Sprintf("replica set: %s, %d pods, %d available, owned %t, labels %s, revision %s",
			rs.Spec.Template.Spec.Containers[0].Image, *rs.Spec.Replicas, rs.Status.AvailableReplicas,
			metav1.GetControllerOf(&rs) != nil, encode(t, labels), rs.Annotations["deployment.kubernetes.io/revision"]), hash, "HASH"))
	}
	slices.Sort(sets)
	records, err := n.Admin.AppsV1().ControllerRevisions(n.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return strings.Join(append(append(lines, sets...), fmt.Sprintf("records of a stable template: %d", len(records.Items))), "\n")
}

// owners lists who owns what beside status and the poke.
func owners(t *testing.T, entries []metav1.ManagedFieldsEntry) []string {
	t.Helper()
	fields := map[string][]string{}
	for _, e := range entries {
		if e.Subresource != "" || e.Manager == "crash.test" {
			continue
		}
		var tree map[string]any
		require.NoError(t, json.Unmarshal(e.FieldsV1.GetRawBytes(), &tree))
		fields[e.Manager] = append(fields[e.Manager], leaves("", tree)...)
	}
	var owned []string
	for manager, list := range fields {
		slices.Sort(list)
		owned = append(owned, manager+": "+strings.Join(slices.Compact(list), " "))
	}
	slices.Sort(owned)
	return owned
}

func leaves(prefix string, tree map[string]any) []string {
	if len(tree) == 0 {
		return []string{prefix}
	}
	var found []string
	for key, below := range tree {
		sub, _ := below.(map[string]any)
		found = append(found, leaves(prefix+"/"+key, sub)...)
	}
	return found
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}
