package crash

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// fingerprint describes how everything stands, without what differs between any two runs: names, times,
// versions, and whoever poked.
func fingerprint(t *testing.T, n *harness.Namespace) string {
	t.Helper()
	deployments, err := n.Admin.AppsV1().Deployments(n.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	sets, err := n.Admin.AppsV1().StatefulSets(n.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var lines []string
	for _, d := range deployments.Items {
		lines = append(lines, workload(t, &d, d.Spec)...)
		lines = append(lines, replicaSets(t, n, d.Name)...)
		for _, c := range d.Status.Conditions {
			if kind := string(c.Type); kind == canary.ConditionReconciling || kind == canary.ConditionStalled {
				lines = append(lines, fmt.Sprintf("condition: %s %s %s", c.Type, c.Status, c.Reason))
			}
		}
	}
	for _, s := range sets.Items {
		lines = append(lines, workload(t, &s, s.Spec)...)
		lines = append(lines, pods(t, n, s)...)
	}
	return strings.Join(append(lines, revisions(t, n)...), "\n")
}

func workload(t *testing.T, object metav1.Object, spec any) []string {
	t.Helper()
	lines := []string{"spec: " + encode(t, spec), "labels: " + encode(t, object.GetLabels())}
	annotations := object.GetAnnotations()
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		switch key {
		case "example.com/poke", canary.ApproveAnnotation, canary.AbortAnnotation, canary.RetryAnnotation: // a user's; they name generations
		case canary.ReleaseAnnotation:
			r, err := canary.DecodeRelease(annotations)
			require.NoError(t, err)
			lines = append(lines, fmt.Sprintf("release: %s %s step %d, %d approvals, surge %d, gate %v, held %+v, reason %q", r.Phase, r.Stage, r.Step, len(r.Approvals), r.Surge, r.Gate, r.Held, r.Reason))
		default:
			lines = append(lines, "annotation: "+key+"="+annotations[key])
		}
	}
	for _, owned := range owners(t, object.GetManagedFields()) {
		lines = append(lines, "managed: "+owned)
	}
	return lines
}

func replicaSets(t *testing.T, n *harness.Namespace, deployment string) []string {
	t.Helper()
	var lines []string
	for _, rs := range n.ReplicaSets(deployment) {
		hash := rs.Labels["pod-template-hash"]
		if hash == "" {
			hash = rs.Spec.Template.Labels["pod-template-hash"]
		}
		labels := maps.Clone(rs.Labels)
		delete(labels, canary.ReleaseLabel)
		lines = append(lines, strings.ReplaceAll(fmt.Sprintf("replica set: %s, %d pods, %d available, owned %t, labels %s, revision %s",
			rs.Spec.Template.Spec.Containers[0].Image, *rs.Spec.Replicas, rs.Status.AvailableReplicas,
			metav1.GetControllerOf(&rs) != nil, encode(t, labels), rs.Annotations["deployment.kubernetes.io/revision"]), hash, "HASH"))
	}
	slices.Sort(lines)
	return lines
}

// pods are those of a StatefulSet, by revision.
func pods(t *testing.T, n *harness.Namespace, s appsv1.StatefulSet) []string {
	t.Helper()
	list, err := n.Admin.CoreV1().Pods(n.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	status := s.Status
	status.ObservedGeneration = 0
	for i := range status.Conditions { // their messages name generations
		status.Conditions[i].LastTransitionTime, status.Conditions[i].Message = metav1.Time{}, ""
	}
	lines := []string{"status: " + encode(t, status)}
	for _, p := range list.Items {
		lines = append(lines, fmt.Sprintf("pod: %s %s, revision %s, deleted %t", p.Name, p.Spec.Containers[0].Image,
			p.Labels[appsv1.StatefulSetRevisionLabel], p.DeletionTimestamp != nil))
	}
	return lines
}

// revisions are those of StatefulSets, and what sluice keeps of the stable template of a Deployment.
func revisions(t *testing.T, n *harness.Namespace) []string {
	t.Helper()
	list, err := n.Admin.AppsV1().ControllerRevisions(n.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var lines []string
	for _, r := range list.Items {
		name := r.Name
		if r.Labels[canary.WorkloadLabel] != "" {
			name = "of sluice's"
		}
		lines = append(lines, fmt.Sprintf("controller revision: %s, number %d", name, r.Revision))
	}
	return lines
}

// owners lists who owns what beside status and the poke.
func owners(t *testing.T, entries []metav1.ManagedFieldsEntry) []string {
	t.Helper()
	fields := map[string][]string{}
	for _, e := range entries {
		if e.Subresource != "" {
			continue
		}
		var tree map[string]any
		require.NoError(t, json.Unmarshal(e.FieldsV1.GetRawBytes(), &tree))
		owned := slices.DeleteFunc(leaves("", tree), func(field string) bool { return strings.HasSuffix(field, "/f:example.com/poke") })
		if len(owned) > 0 {
			fields[e.Manager] = append(fields[e.Manager], owned...)
		}
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
