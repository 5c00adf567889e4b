package controller

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
)

// TestConditionsOfOthersStay: a condition of another controller is kept byte for byte, with fields that
// no library knows, while sluice's come and go.
func TestConditionsOfOthersStay(t *testing.T) {
	foreign := map[string]any{"type": "Audited", "status": "True", "auditor": "security", "lastTransitionTime": "2026-01-01T00:00:00Z"}
	for kind, start := range map[schema.GroupVersionKind]func(*testing.T) *cluster{
		deploymentKind:  func(t *testing.T) *cluster { return running(t) },
		statefulSetKind: func(t *testing.T) *cluster { return runningSet(t) },
	} {
		t.Run(kind.Kind, func(t *testing.T) {
			c := start(t)
			object := c.workload()
			require.NoError(t, unstructured.SetNestedSlice(object.Object, []any{foreign}, "status", "conditions"))
			require.NoError(t, c.raw.Status().Update(t.Context(), object))

			c.upgrade("web:2")
			require.Equal(t, canary.Waiting, c.release().Phase)
			require.Equal(t, []any{foreign}, c.conditions(), "a person is awaited")

			c.drive(canary.AbortAnnotation, (*canary.Release).Name)
			require.Len(t, c.conditions(), 2)
			require.Equal(t, foreign, c.conditions()[0])
			stalled := c.conditions()[1].(map[string]any)
			require.Equal(t, "Stalled", stalled["type"])
			require.Equal(t, "aborted by alice", c.release().Reason)
			require.Contains(t, stalled["message"], c.release().Reason)
			require.NotEmpty(t, stalled["lastTransitionTime"])

			c.upgrade("web:1")
			require.Nil(t, c.release())
			require.Equal(t, []any{foreign}, c.conditions())
		})
	}
}

func (c *cluster) conditions() []any {
	c.t.Helper()
	conditions, _, err := unstructured.NestedSlice(c.workload().Object, "status", "conditions")
	require.NoError(c.t, err)
	return conditions
}
