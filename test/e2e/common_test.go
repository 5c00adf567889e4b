package e2e

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

var (
	listOptions   = metav1.ListOptions{}
	patchOptions  = metav1.PatchOptions{}
	updateOptions = metav1.UpdateOptions{}
	createOptions = metav1.CreateOptions{}
	deleteOptions = metav1.DeleteOptions{}
	getOptions    = metav1.GetOptions{}
)

func containsWord(text, word string) bool {
	return slices.Contains(strings.Fields(text), word)
}

func finishing(d *appsv1.Deployment) bool {
	r, err := canary.DecodeRelease(d.Annotations)
	return err == nil && r != nil && r.Stage == canary.Finishing
}

// canaryReplicaSets returns the ReplicaSets that carry sluice's labels.
func canaryReplicaSets(n *harness.Namespace) []appsv1.ReplicaSet {
	return slices.DeleteFunc(n.ReplicaSets("web"), func(rs appsv1.ReplicaSet) bool {
		return rs.Labels[canary.WorkloadLabel] == ""
	})
}

// wasApproved tells whether step one of the release is over; where there is none, it was.
func wasApproved(n *harness.Namespace) bool {
	r := n.Release("web")
	return r == nil || len(r.Approvals) > 0
}
