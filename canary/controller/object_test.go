package controller

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
)

// stored is the Deployment as an API server returns it, with the UID "u1".
func stored(t *testing.T) *workload {
	t.Helper()
	object := deploymentObject("web:2")
	object.SetUID("u1")
	w, err := decodeWorkload(object)
	require.NoError(t, err)
	return w
}

func stableObject() *unstructured.Unstructured {
	return decodeJSON(`{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": {"namespace": "shop", "name": "web-6d4", "uid": "u2", "resourceVersion": "7",
			"labels": {"app": "web", "tier": "front", "pod-template-hash": "6d4"},
			"annotations": {"deployment.kubernetes.io/revision": "3"},
			"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1", "controller": true, "blockOwnerDeletion": true}]},
		"spec": {"replicas": 10, "minReadySeconds": 3,
			"selector": {"matchLabels": {"app": "web", "pod-template-hash": "6d4"}},
			"template": {"metadata": {"labels": {"app": "web", "tier": "front", "pod-template-hash": "6d4"}},
				"spec": {"containers": [{"name": "web", "image": "web:1"}], "fieldOfTomorrow": {"answer": 9007199254740993}}}}
	}`)
}

func decodeJSON(text string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON([]byte(text)); err != nil {
		panic(err)
	}
	return object
}

var release7 = &canary.Release{
	ID: 7, Phase: canary.Progressing, Step: 1,
	Stable: canary.Revision{Hash: "aa"}, Canary: canary.Revision{Hash: "bb"},
}

func TestCanaryReplicaSet(t *testing.T) {
	rs, err := canaryReplicaSet(stored(t), release7, canary.CanarySpec{
		Hash: "h4sh", Replicas: 2, MinReadySeconds: 3,
		Marks: canary.Marks{Phase: canary.Progressing, Step: "1", Weight: "20"},
	})
	require.NoError(t, err)
	requireObject(t, `{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": {"namespace": "shop", "name": "web-h4sh",
			"labels": {"sluice.dev/workload": "web", "sluice.dev/release": "7", "sluice.dev/phase": "Progressing", "sluice.dev/step": "1", "sluice.dev/weight": "20"},
			"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1", "blockOwnerDeletion": false}]},
		"spec": {"replicas": 2, "minReadySeconds": 3,
			"selector": {"matchLabels": {"app": "web", "pod-template-hash": "h4sh"}},
			"template": {"metadata": {"labels": {"app": "web", "tier": "front", "pod-template-hash": "h4sh"}},
				"spec": {"containers": [{"name": "web", "image": "web:2"}], "fieldOfTomorrow": {"answer": 9007199254740993}}}}
	}`, rs)
	require.NotContains(t, templateLabels(stored(t).object), hashLabel, "the Deployment is as it was read")
}

func TestRecordAndRestore(t *testing.T) {
	w := stored(t)
	record, err := newRecord(w, release7, stableObject())
	require.NoError(t, err)
	require.Regexp(t, `^web-[0-9a-f]{16}$`, record.Name)
	require.Equal(t, map[string]string{"sluice.dev/workload": "web", "sluice.dev/release": "7"}, record.Labels)
	require.Equal(t, types.UID("u1"), record.OwnerReferences[0].UID)
	require.Nil(t, record.OwnerReferences[0].Controller)
	require.GreaterOrEqual(t, record.Revision, int64(0))
	require.JSONEq(t, `{"replicaSet": "web-6d4", "hash": "6d4", "revision": "3",
		"template": {"metadata": {"labels": {"app": "web", "tier": "front"}},
			"spec": {"containers": [{"name": "web", "image": "web:1"}], "fieldOfTomorrow": {"answer": 9007199254740993}}}}`,
		string(record.Data.Raw))

	restored, err := stableReplicaSet(w, record, 4)
	require.NoError(t, err)
	want := stableObject()
	for _, field := range []string{"uid", "resourceVersion"} {
		unstructured.RemoveNestedField(want.Object, "metadata", field)
	}
	refs := want.GetOwnerReferences()
	*refs[0].BlockOwnerDeletion = false
	want.SetOwnerReferences(refs)
	require.NoError(t, unstructured.SetNestedField(want.Object, int64(4), "spec", "replicas"))
	requireObject(t, string(mustJSON(want.Object)), restored)
}

func TestRecordName(t *testing.T) {
	w := stored(t)
	name := recordName(w, canary.Revision{Hash: "aa", Digest: "v1:k:d"})
	require.Equal(t, name, recordName(w, canary.Revision{Hash: "aa", Digest: "v1:k:d"}))
	require.NotEqual(t, name, recordName(w, canary.Revision{Hash: "aa"}))
	other := stored(t)
	other.typed.UID = "u9"
	require.NotEqual(t, name, recordName(other, canary.Revision{Hash: "aa", Digest: "v1:k:d"}))
	require.Len(t, nameWithHash(strings.Repeat("w", 253), "h4sh"), 253)
}

func TestEdits(t *testing.T) {
	marks := `"sluice.dev/workload": "web", "sluice.dev/release": "7", "sluice.dev/phase": "Waiting", "sluice.dev/step": "1", "sluice.dev/weight": "20"`
	own := `"app": "web", "tier": "front", "pod-template-hash": "h4sh"`
	reference := `{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u1", "blockOwnerDeletion": false}`
	object := func(labels, annotations, refs, spec string) string {
		return `{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-h4sh", "labels": {` + labels + `}` +
			annotations + refs + `}, "spec": {` + spec + `, "template": {"metadata": {"labels": {` + own + `}}, "spec": {"new": 1}}}}`
	}
	size := `"replicas": 2, "minReadySeconds": 3`
	sized := `, "annotations": {"deployment.kubernetes.io/desired-replicas": "10", "deployment.kubernetes.io/max-replicas": "12"}`
	revised := `, "annotations": {"note": "mine", "deployment.kubernetes.io/revision": "4", "deployment.kubernetes.io/desired-replicas": "10", "deployment.kubernetes.io/max-replicas": "12"}`
	for name, test := range map[string]struct {
		before, want string
		edit         edit
	}{
		"resize sets pods and marks and keeps the rest": {
			before: object(marks+`, "extra": "kept"`, "", "", size),
			edit: resize(canary.ReplicaSetUpdate{Replicas: 0, MinReadySeconds: 5,
				Marks: canary.Marks{Phase: canary.Aborted, Step: "1", Weight: "0"}}),
			want: object(strings.NewReplacer("Waiting", "Aborted", `"20"`, `"0"`).Replace(marks)+`, "extra": "kept"`, "", "",
				`"replicas": 0, "minReadySeconds": 5`),
		},
		"resize without marks leaves them": {
			before: object(marks, "", "", size),
			edit:   resize(canary.ReplicaSetUpdate{Replicas: 5, MinReadySeconds: 3}),
			want:   object(marks, "", "", `"replicas": 5, "minReadySeconds": 3`),
		},
		"adopt adds the Deployment's labels and the size annotations": {
			before: object(marks, "", "", size),
			edit:   adopt(canary.Adoption{DesiredReplicas: 10, MaxReplicas: 12, Marks: canary.Marks{Phase: canary.Promoting, Step: "1", Weight: "20"}}),
			want:   object(strings.Replace(marks, "Waiting", "Promoting", 1)+","+own, sized, "", size),
		},
		"disown leaves sluice's marks alone": {
			before: object(marks+","+own, revised, "", size),
			edit:   disown,
			want:   object(marks, `, "annotations": {"note": "mine"}`, "", size),
		},
		"refer adds a reference that is no controller": {
			before: object(marks, "", "", size),
			edit:   refer,
			want:   object(marks, "", `, "ownerReferences": [`+reference+`]`, size),
		},
		"refer to a Deployment that is referred to already": {
			before: object(marks, "", `, "ownerReferences": [`+reference+`]`, size),
			edit:   refer,
			want:   object(marks, "", `, "ownerReferences": [`+reference+`]`, size),
		},
		"unmark leaves the Deployment's labels": {
			before: object(marks+","+own, revised, "", size),
			edit:   unmark,
			want:   object(own, revised, "", size),
		},
	} {
		t.Run(name, func(t *testing.T) {
			rs := decodeJSON(test.before)
			require.NoError(t, test.edit(rs, stored(t)))
			requireObject(t, test.want, rs)
		})
	}
}

func TestAdoptedMatchesAndDisownedDoesNot(t *testing.T) {
	w := stored(t)
	rs, err := canaryReplicaSet(w, release7, canary.CanarySpec{Hash: "h4sh", Replicas: 2})
	require.NoError(t, err)
	labelled := func() bool {
		found, err := decodeReplicaSet(rs, w)
		require.NoError(t, err)
		return found.state.Labelled
	}
	require.False(t, labelled())
	require.NoError(t, adopt(canary.Adoption{})(rs, w))
	require.True(t, labelled())
	require.NoError(t, disown(rs, w))
	require.False(t, labelled())
}

func TestTemplateHashIsTheSameEverywhere(t *testing.T) {
	w := stored(t)
	rs, err := canaryReplicaSet(w, release7, canary.CanarySpec{Hash: "h4sh"})
	require.NoError(t, err)
	found, err := decodeReplicaSet(rs, w)
	require.NoError(t, err)
	state, err := w.state()
	require.NoError(t, err)
	require.Equal(t, state.TemplateHash, found.state.TemplateHash)
	require.Contains(t, string(w.template), `{"answer":9007199254740993}`)
}

func requireObject(t *testing.T, want string, got *unstructured.Unstructured) {
	t.Helper()
	raw, err := json.Marshal(got.Object)
	require.NoError(t, err)
	require.JSONEq(t, want, string(raw))
}

func TestRolling(t *testing.T) {
	strategy := func(surge, unavailable string) appsv1.DeploymentStrategy {
		var s appsv1.DeploymentStrategy
		text := `{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": ` + surge + `, "maxUnavailable": ` + unavailable + `}}`
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		return s
	}
	for name, test := range map[string]struct {
		strategy                   appsv1.DeploymentStrategy
		replicas                   int32
		wantSurge, wantUnavailable int32
	}{
		"25 % of 10: surge up, unavailable down": {strategy(`"25%"`, `"25%"`), 10, 3, 2},
		"25 % of 1":                              {strategy(`"25%"`, `"25%"`), 1, 1, 0},
		"0 and 1":                                {strategy(`0`, `1`), 3, 0, 1},
		"0 and 25 % of 3: not both are 0":        {strategy(`0`, `"25%"`), 3, 0, 1},
		"100 % and 0":                            {strategy(`"100%"`, `0`), 10, 10, 0},
		"no more unavailable than there are":     {strategy(`1`, `5`), 2, 1, 2},
		"no pods":                                {strategy(`"25%"`, `"25%"`), 0, 0, 0},
		"Recreate":                               {appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, 10, 0, 0},
		"nothing given":                          {appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}, 10, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			surge, unavailable, err := resolveRolling(test.strategy, test.replicas)
			require.NoError(t, err)
			require.Equal(t, []int32{test.wantSurge, test.wantUnavailable}, []int32{surge, unavailable})
		})
	}
	_, _, err := resolveRolling(strategy(`"many"`, `0`), 10)
	require.ErrorContains(t, err, "maxSurge")
}
