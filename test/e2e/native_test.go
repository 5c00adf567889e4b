package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func TestReplicasLabelsAndAnnotationsAreNotHeld(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	for _, patch := range []string{
		`{"spec":{"replicas":4}}`,
		`{"metadata":{"labels":{"team":"shop"}}}`,
		`{"metadata":{"annotations":{"example.com/note":"x"}}}`,
		`{"spec":{"minReadySeconds":1}}`,
		`{"spec":{"revisionHistoryLimit":3}}`,
	} {
		require.Empty(t, n.Kubectl("patch", "deployment/web", "-p", patch).Warnings(), patch)
		require.Nil(t, n.Release("web"), patch)
		require.False(t, n.Deployment("web").Spec.Paused, patch)
	}
	require.Equal(t, 1, replicaSetsMade(n.Recorded()))
	require.Empty(t, env.Proxy.Writes(n.Name))
}

func TestWhatRollsOutNativelySaysWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(n *harness.Namespace)
		want   string
	}{
		"a version that never became available": {
			before: func(n *harness.Namespace) {
				n.Kubectl("create", "-f", n.Manifest(web().Image("example/unready:v1").Obj()))
				n.PodsOfEventually("web", "example/unready:v1", 3)
			},
			want: "the version before never became available",
		},
		"no replicas": {
			before: func(n *harness.Namespace) { n.Create(web().Replicas(0).Obj()) },
			want:   "it has no replicas",
		},
		"strategy Recreate": {
			before: func(n *harness.Namespace) { n.Create(web().Recreate().Obj()) },
			want:   "its strategy is Recreate",
		},
		"a selector that our labels would match": {
			before: func(n *harness.Namespace) {
				d := web().Obj()
				d.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "legacy", Operator: metav1.LabelSelectorOpDoesNotExist},
				}}
				n.Create(d)
			},
			want: "its selector would match the canary ReplicaSet's own labels",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := env.Namespace(t)
			test.before(n)
			n.Mark("web", watch.Native)
			n.Mark("web", watch.Disturbed) // Recreate takes every pod away
			result := n.SetImage("web", v2)
			require.Equal(t, []string{"sluice: deployment/web rolls out natively, without a canary: " + test.want}, result.Warnings())
			n.WaitStable("web")
			require.Nil(t, n.Release("web"))
		})
	}
}

func TestAnOutageDoesNotOpenTheGate(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Mark("web", watch.Disturbed)
	for _, pod := range n.PodsOf("web", v1) {
		require.NoError(t, breakPod(t.Context(), n, pod))
	}
	n.WaitDeployment("web", "nothing is available", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 0 })
	n.SetImage("web", v2)
	require.True(t, n.Deployment("web").Spec.Paused)
	n.WaitPhase("web", canary.Waiting, 1)
	n.PodsOfEventually("web", v2, 1)
}

func TestRecreateTogetherWithANewImageIsHeld(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Kubectl("patch", "deployment/web", "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	requireHeld(t, n, v2, 1, 3)
}
