package controller

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// TestNoConditionOutlivesItsRelease: somebody takes the release off while no webhook is registered.
func TestNoConditionOutlivesItsRelease(t *testing.T) {
	for kind, start := range map[schema.GroupVersionKind]func(*testing.T) *cluster{
		deploymentKind:  func(t *testing.T) *cluster { return running(t) },
		statefulSetKind: func(t *testing.T) *cluster { return runningSet(t) },
	} {
		t.Run(kind.Kind, func(t *testing.T) {
			c := start(t)
			c.upgrade("web:2")
			c.drive(canary.AbortAnnotation, (*canary.Release).Name)
			require.Len(t, c.conditions(), 1)

			object := c.workload()
			object.SetLabels(nil)
			object.SetAnnotations(nil)
			require.NoError(t, c.store.Update(t.Context(), object))
			c.run()
			require.Empty(t, c.conditions())
			written := len(c.writes)
			c.run()
			require.Len(t, c.writes, written, "it writes once")
		})
	}
}

// TestAConditionThatANativeControllerRepeatsGoesAgain: it writes the status that it made up before.
func TestAConditionThatANativeControllerRepeatsGoesAgain(t *testing.T) {
	c := runningSet(t)
	c.upgrade("web:2")
	c.user("kubectl-annotate", annotate(canary.ApproveAnnotation, c.release().ApproveFullValue()))
	var repeated []any
	for range 200 {
		c.native()
		if told := c.conditions(); len(told) > 0 {
			repeated = told
		}
		result, err := c.once()
		require.NoError(t, err)
		if c.release() == nil {
			require.Positive(t, result.RequeueAfter)
			break
		}
		c.now = c.now.Add(result.RequeueAfter)
	}
	require.Nil(t, c.release())
	require.Empty(t, c.conditions())

	object := c.workload()
	require.NoError(t, unstructured.SetNestedSlice(object.Object, repeated, "status", "conditions"))
	require.NoError(t, c.raw.Status().Update(t.Context(), object))
	c.run()
	require.Empty(t, c.conditions())
}

// TestAConditionThatCannotBeWrittenKeepsNothingWaiting: writes to the status are refused all along.
func TestAConditionThatCannotBeWrittenKeepsNothingWaiting(t *testing.T) {
	refused := apierrors.NewForbidden(replicaSetResource, "web", errors.New("somebody's policy"))
	for kind, start := range map[schema.GroupVersionKind]func(*testing.T) *cluster{
		deploymentKind:  func(t *testing.T) *cluster { return running(t) },
		statefulSetKind: func(t *testing.T) *cluster { return runningSet(t) },
	} {
		for name, refusedFrom := range map[string]int{"from the beginning": 0, "once it is stalled": 1} {
			t.Run(kind.Kind+" "+name, func(t *testing.T) {
				c := start(t)
				if refusedFrom > 0 {
					c.upgrade("web:2")
					c.drive(canary.AbortAnnotation, (*canary.Release).Name)
					require.Len(t, c.conditions(), 1)
				}
				c.fault = func(call call) error {
					if call.verb == "patch status" {
						return refused
					}
					return nil
				}
				c.user("helm", setImage("web:3"))
				c.passUntil(func() bool { r := c.release(); return r != nil && r.Phase == canary.Waiting })
				require.Contains(t, c.events(), "ReleaseBlocked")
				c.user("helm", setImage("web:1"))
				c.passUntil(func() bool { return c.release() == nil })
				c.fault = nil
				c.run()
				require.Empty(t, c.conditions())
			})
		}
	}
}

// passUntil lets everybody work, whatever fails.
func (c *cluster) passUntil(done func() bool) {
	c.t.Helper()
	for range 200 {
		if done() {
			return
		}
		c.native()
		result, _ := c.once()
		c.now = c.now.Add(result.RequeueAfter)
	}
	c.t.Fatal("it does not come to that")
}

// TestAConditionOfAnotherStays: it has a type that sluice uses too.
func TestAConditionOfAnotherStays(t *testing.T) {
	foreign := map[string]any{"type": "Stalled", "status": "True", "reason": "NoDisk", "message": "the disk is full"}
	c := running(t)
	object := c.workload()
	require.NoError(t, unstructured.SetNestedSlice(object.Object, []any{foreign}, "status", "conditions"))
	require.NoError(t, c.raw.Status().Update(t.Context(), object))
	c.upgrade("web:2")
	require.Equal(t, []any{foreign}, c.conditions())
	c.drive(canary.AbortAnnotation, (*canary.Release).Name)
	require.Equal(t, []any{foreign}, c.conditions())
	c.upgrade("web:1")
	require.Equal(t, []any{foreign}, c.conditions())
}

// TestACanaryThatServesStaysUntilStablePodsDo: its release was taken off while the stable pods are away.
func TestACanaryThatServesStaysUntilStablePodsDo(t *testing.T) {
	c := running(t)
	c.upgrade("web:2")
	name := c.canaryName()
	object := c.workload()
	object.SetLabels(nil)
	object.SetAnnotations(nil)
	require.NoError(t, c.store.Update(t.Context(), object))
	short := func() {
		object := c.workload()
		require.NoError(t, unstructured.SetNestedField(object.Object, int64(0), "status", "availableReplicas"))
		require.NoError(t, unstructured.SetNestedField(object.Object, object.GetGeneration(), "status", "observedGeneration"))
		require.NoError(t, c.raw.Status().Update(t.Context(), object))
	}
	short()
	result, err := c.once()
	require.NoError(t, err)
	require.Equal(t, servingAgain, result.RequeueAfter)
	require.Contains(t, c.names(), name)
	c.run()
	require.NotContains(t, c.names(), name)
}

// names of the ReplicaSets.
func (c *cluster) names() []string {
	var names []string
	for _, rs := range c.replicaSets() {
		names = append(names, rs.GetName())
	}
	return names
}
