package eject

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/canary"
)

func objectOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	require.NoError(t, object.UnmarshalJSON([]byte(text)))
	return object
}

const held = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web",
	"labels":{"team":"shop","sluice.dev/release-active":"true","sluice.dev/phase":"Promoting"},
	"annotations":{"example.com/a":"1","sluice.dev/release":"{}","sluice.dev/approve":"5/1","sluice.dev/steps":"50%"}},
	"spec":{"paused":true,"newField":{"number":9007199254740993},"strategy":{"rollingUpdate":{"maxSurge":3}},"template":{"spec":{"newPodField":1}}}}`

func TestWhatAnObjectIsAfterItsRelease(t *testing.T) {
	release := &canary.Release{ID: 5, Phase: canary.Promoting, Stage: canary.Adopting, Surge: 3, Held: canary.Held{MaxSurge: json.RawMessage(`"25%"`)}}
	tests := map[string]struct {
		ending   canary.Ending
		template string
		want     string
	}{
		"the user's own fields come back, and what this program does not know stays": {
			ending: canary.EndPromoted,
			want:   `{"newField":{"number":9007199254740993},"strategy":{"rollingUpdate":{"maxSurge":"25%"}},"template":{"spec":{"newPodField":1}}}`,
		},
		"it is left paused": {
			ending: canary.EndPaused,
			want:   `{"paused":true,"newField":{"number":9007199254740993},"strategy":{"rollingUpdate":{"maxSurge":"25%"}},"template":{"spec":{"newPodField":1}}}`,
		},
		"the stable template comes back without the hash of its ReplicaSet": {
			ending:   canary.EndReverted,
			template: `{"metadata":{"labels":{"app":"web","pod-template-hash":"7c9b"}},"spec":{"oldPodField":2}}`,
			want:     `{"newField":{"number":9007199254740993},"strategy":{"rollingUpdate":{"maxSurge":"25%"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"oldPodField":2}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := objectOf(t, held)
			w, err := decodeFor(object)
			require.NoError(t, err)
			var template []byte
			if test.template != "" {
				template = []byte(test.template)
			}
			got, err := ended(object, release.Without(w, test.ending), template)
			require.NoError(t, err)
			spec, err := json.Marshal(got.Object["spec"])
			require.NoError(t, err)
			require.JSONEq(t, test.want, string(spec))
			require.Contains(t, string(spec), "9007199254740993")
			require.Equal(t, map[string]string{"team": "shop"}, got.GetLabels())
			require.Equal(t, map[string]string{"example.com/a": "1", "sluice.dev/steps": "50%"}, got.GetAnnotations())
			require.True(t, isEnded(got))
			require.False(t, isEnded(object), "what was read stays as it was")
		})
	}
}

func TestThePartitionOfItsOwnerComesBack(t *testing.T) {
	set := `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"db"},"spec":{"template":{},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2147483647}}}}`
	for ending, want := range map[canary.Ending]int64{canary.EndPromoted: 2, canary.EndReverted: 2, canary.EndPaused: 2147483647} {
		object := objectOf(t, set)
		w, err := decodeFor(object)
		require.NoError(t, err)
		release := &canary.Release{ID: 5, Phase: canary.Waiting, Held: canary.Held{Partition: 2}}
		got, err := ended(object, release.Without(w, ending), nil)
		require.NoError(t, err)
		partition, _, err := unstructured.NestedInt64(got.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
		require.NoError(t, err)
		require.Equal(t, want, partition, ending)
	}
}

func TestOnlyWhatIsOursIsTakenOff(t *testing.T) {
	object := objectOf(t, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","managedFields":[
		{"manager":"helm","operation":"Apply"},{"manager":"kubectl-sluice-eject","operation":"Update"}]},
		"status":{"conditions":[{"type":"Available"},{"type":"Stalled","reason":"Aborted"},{"type":"Stalled","reason":"NoDisk"}]}}`)
	plain := disowned(object)
	require.Len(t, plain.GetManagedFields(), 1)
	require.Equal(t, "helm", plain.GetManagedFields()[0].Manager)
	require.Nil(t, disowned(plain))
	told := untold(object)
	conditions, _, err := unstructured.NestedSlice(told.Object, "status", "conditions")
	require.NoError(t, err)
	require.Equal(t, []any{map[string]any{"type": "Available"}, map[string]any{"type": "Stalled", "reason": "NoDisk"}}, conditions)
	require.Nil(t, untold(told))
}
