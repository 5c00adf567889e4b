package eject

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

func TestWhatBecomesOfAMarkedReplicaSet(t *testing.T) {
	yes := true
	controlled := func(rs *appsv1.ReplicaSet) {
		rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "d-1", Controller: &yes}}
	}
	labelled := func(rs *appsv1.ReplicaSet) { rs.Labels["app"] = "web" }
	serving := func(rs *appsv1.ReplicaSet) { rs.Status.AvailableReplicas = 2 }
	here := owner{uid: "d-1", selector: labels.SelectorFromSet(labels.Set{"app": "web"}), available: 4, floor: 3}
	short, active, another := here, here, here
	short.available, active.active, another.uid = 2, true, "d-2"
	tests := map[string]struct {
		changes []func(*appsv1.ReplicaSet)
		owner   owner
		want    fate
	}{
		"a canary": {owner: here, changes: []func(*appsv1.ReplicaSet){serving}, want: drop},
		"a canary that stands in for pods of the Deployment":    {owner: short, changes: []func(*appsv1.ReplicaSet){serving}, want: cover},
		"a canary without pods, while others are missing":       {owner: short, want: drop},
		"one that is to be adopted":                             {owner: here, changes: []func(*appsv1.ReplicaSet){labelled}, want: unmark},
		"one that was adopted":                                  {owner: here, changes: []func(*appsv1.ReplicaSet){labelled, controlled}, want: unmark},
		"one that is being taken back":                          {owner: here, changes: []func(*appsv1.ReplicaSet){controlled}, want: await},
		"one whose Deployment has a release":                    {owner: active, want: spare},
		"one of another Deployment of that name":                {owner: another, changes: []func(*appsv1.ReplicaSet){controlled}, want: spare},
		"a canary without a Deployment":                         {want: drop},
		"one that was adopted, and left without its Deployment": {changes: []func(*appsv1.ReplicaSet){labelled}, want: unmark},
		"one that goes already": {owner: here, want: spare, changes: []func(*appsv1.ReplicaSet){func(rs *appsv1.ReplicaSet) {
			rs.DeletionTimestamp = &metav1.Time{}
		}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{canary.WorkloadLabel: "web", canary.PhaseLabel: "Waiting"}}}
			for _, change := range test.changes {
				change(rs)
			}
			require.Equal(t, test.want, fateOf(rs, test.owner))
		})
	}
}
