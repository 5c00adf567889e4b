package controller

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

func TestSweep(t *testing.T) {
	orphan := func(t *testing.T, c *cluster) {
		t.Helper()
		for _, rs := range c.replicaSets() {
			rs.SetOwnerReferences(nil)
			require.NoError(t, c.store.Update(t.Context(), &rs))
		}
		for _, record := range c.records() {
			record.OwnerReferences = nil
			require.NoError(t, c.raw.Update(t.Context(), &record))
		}
		require.NoError(t, c.store.Delete(t.Context(), c.workload()))
	}
	// bare takes the release off the Deployment, as if it had been restored from somewhere.
	bare := func(t *testing.T, c *cluster) {
		t.Helper()
		object := c.workload()
		object.SetAnnotations(nil)
		object.SetLabels(nil)
		require.NoError(t, c.store.Update(t.Context(), object))
	}
	edit := func(change func(rs *unstructured.Unstructured)) func(*testing.T, *cluster) {
		return func(t *testing.T, c *cluster) {
			t.Helper()
			for _, rs := range c.replicaSets() {
				if releaseID(&rs, web.Name) != 0 {
					change(&rs)
					require.NoError(t, c.store.Update(t.Context(), &rs))
				}
			}
		}
	}
	for name, test := range map[string]struct {
		then       []func(*testing.T, *cluster)
		wantImages map[string]int64
		wantMarked int
	}{
		"Deployment deleted without its ReplicaSets: the canary goes, the stable one stays": {
			then:       []func(*testing.T, *cluster){orphan},
			wantImages: map[string]int64{"web:1": 10},
		},
		"Deployment deleted without its ReplicaSets after adoption: both stay": {
			then: []func(*testing.T, *cluster){edit(func(rs *unstructured.Unstructured) {
				rs.SetLabels(merge(rs.GetLabels(), map[string]string{"app": "web"}))
			}), orphan},
			wantImages: map[string]int64{"web:1": 10, "web:2": 2},
		},
		"Deployment without a release: the canary goes": {
			then:       []func(*testing.T, *cluster){bare, func(_ *testing.T, c *cluster) { c.native() }},
			wantImages: map[string]int64{"web:1": 10},
		},
		"Deployment without a release, the ReplicaSet is its own: unmarked": {
			then: []func(*testing.T, *cluster){edit(func(rs *unstructured.Unstructured) {
				yes, refs := true, rs.GetOwnerReferences()
				refs[0].Controller = &yes
				rs.SetOwnerReferences(refs)
			}), bare},
			wantImages: map[string]int64{"web:1": 10, "web:2": 2},
		},
		"a ReplicaSet that refers to another Deployment is left alone": {
			then: []func(*testing.T, *cluster){orphan, edit(func(rs *unstructured.Unstructured) {
				rs.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "other", UID: "u7"}})
			})},
			wantImages: map[string]int64{"web:1": 10, "web:2": 2},
			wantMarked: 1,
		},
		"a Deployment that is being deleted is left to garbage collection": {
			then: []func(*testing.T, *cluster){bare, func(t *testing.T, c *cluster) {
				t.Helper()
				object := c.workload()
				object.SetFinalizers([]string{metav1.FinalizerDeleteDependents})
				require.NoError(t, c.store.Update(t.Context(), object))
				require.NoError(t, c.store.Delete(t.Context(), object))
			}},
			wantImages: map[string]int64{"web:1": 10, "web:2": 2},
			wantMarked: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := running(t)
			c.upgrade("web:2")
			for _, then := range test.then {
				then(t, c)
			}
			for range 2 {
				_, err := c.once()
				require.NoError(t, err)
			}
			marked := 0
			for _, rs := range c.replicaSets() {
				if rs.GetLabels()[canary.WorkloadLabel] != "" {
					marked++
				}
			}
			require.Equal(t, test.wantImages, c.pods())
			require.Equal(t, test.wantMarked, marked)
			if test.wantMarked == 0 {
				require.Empty(t, c.records())
			}
			c.writes = nil
			_, err := c.once()
			require.NoError(t, err)
			require.Empty(t, c.writes)
		})
	}
}

// TestACanaryStaysUntilNoGatewaySendsRequestsThere: its route was given back just now, past sluice.
func TestACanaryStaysUntilNoGatewaySendsRequestsThere(t *testing.T) {
	c := running(t)
	c.raw.routes = []schema.GroupVersionKind{split.HTTPRoute.WithVersion("v1")}
	c.restart()
	c.upgrade("web:2")
	object := c.workload()
	object.SetAnnotations(nil)
	object.SetLabels(nil)
	require.NoError(t, c.store.Update(t.Context(), object))
	c.native()
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: web.Name, UID: object.GetUID()}
	for _, name := range []string{"web", "web-stable", "web-canary"} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: name}}
		if name != "web" {
			service.Labels = map[string]string{canary.WorkloadLabel: web.Name}
			service.Annotations = map[string]string{"sluice.dev/service": "web"}
			service.OwnerReferences = []metav1.OwnerReference{owner}
		}
		require.NoError(t, c.store.Create(t.Context(), service))
	}
	route := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"rules": []any{map[string]any{"backendRefs": []any{map[string]any{"name": "web", "port": int64(80)}}}},
	}}}
	route.SetGroupVersionKind(c.raw.routes[0])
	route.SetNamespace(web.Namespace)
	route.SetName("web")
	route.SetCreationTimestamp(metav1.Time{Time: c.now})
	require.NoError(t, c.store.Create(t.Context(), route))

	again, err := c.once()
	require.NoError(t, err)
	require.Positive(t, again.RequeueAfter)
	require.Equal(t, map[string]int64{"web:1": 10, "web:2": 2}, c.pods())
	c.now = c.now.Add(time.Minute) // longer than a gateway that accepts nothing is waited for
	_, err = c.once()
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"web:1": 10}, c.pods())
}

// TestSweepOfAShortenedName: the label of a long name leads to a name that no Deployment has.
func TestSweepOfAShortenedName(t *testing.T) {
	long := strings.Repeat("web-", 20) + "end"
	c := newCluster(t)
	object := deploymentObject("web:1")
	object.SetName(long)
	object.SetLabels(map[string]string{canary.ActiveLabel: "true"})
	require.NoError(t, c.store.Create(t.Context(), object))
	w, err := decodeWorkload(object)
	require.NoError(t, err)
	rs, err := canaryReplicaSet(w, release7, canary.CanarySpec{Hash: "h4sh", Replicas: 2})
	require.NoError(t, err)
	rs.SetOwnerReferences(nil) // the deployment controller has just released it
	require.NoError(t, c.store.Create(t.Context(), rs))

	request := requestsOf(t.Context(), rs)[0]
	require.Equal(t, canary.WorkloadLabelValue(long), request.Name)
	_, err = c.reconcile.Reconcile(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, c.replicaSets(), 1, "its Deployment is in the middle of a release")

	require.NoError(t, c.store.Delete(t.Context(), object))
	_, err = c.reconcile.Reconcile(t.Context(), request)
	require.NoError(t, err)
	require.Empty(t, c.replicaSets())
}

func merge(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for key, value := range m {
			all[key] = value
		}
	}
	return all
}
