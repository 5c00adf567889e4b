package dev

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sluice.dev/sluice/manifests"
)

const base = "https://127.0.0.1:9443"

func TestObjects(t *testing.T) {
	got, err := objects(base, manifests.Namespace)
	require.NoError(t, err)

	t.Run("all carry dev's label", func(t *testing.T) {
		for _, obj := range got.all() {
			require.True(t, isDevs(obj.GetLabels()), describe(obj))
		}
	})
	t.Run("none runs a pod of sluice", func(t *testing.T) {
		for _, obj := range got.all() {
			require.NotContains(t, []string{"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}, obj.GetKind())
		}
	})
	t.Run("the webhooks call dev and fail closed as shipped", func(t *testing.T) {
		require.Len(t, got.webhooks, 2)
		shipped, err := manifests.Objects()
		require.NoError(t, err)
		for _, configuration := range got.webhooks {
			entries, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
			require.NoError(t, err)
			for i, entry := range entries {
				webhook, ok := entry.(map[string]any)
				require.True(t, ok)
				url, _, err := unstructured.NestedString(webhook, "clientConfig", "url")
				require.NoError(t, err)
				require.Contains(t, url, base+"/")
				require.Equal(t, entryOf(t, shipped, configuration.GetKind(), i)["failurePolicy"], webhook["failurePolicy"])
			}
		}
	})
	t.Run("the permissions are the shipped ones", func(t *testing.T) {
		shipped, err := manifests.Objects()
		require.NoError(t, err)
		for _, obj := range got.account {
			for _, other := range shipped {
				if other.GetKind() == obj.GetKind() && other.GetName() == obj.GetName() {
					require.Equal(t, other.Object["rules"], obj.Object["rules"])
					require.Equal(t, other.Object["spec"], obj.Object["spec"])
				}
			}
		}
	})
	t.Run("another namespace is named everywhere", func(t *testing.T) {
		moved, err := objects(base, "elsewhere")
		require.NoError(t, err)
		for _, obj := range moved.all() {
			raw, err := obj.MarshalJSON()
			require.NoError(t, err)
			require.NotContains(t, string(raw), `"`+manifests.Namespace+`"`, describe(obj))
		}
	})
}

func entryOf(t *testing.T, objs []*unstructured.Unstructured, kind string, i int) map[string]any {
	t.Helper()
	for _, obj := range objs {
		if obj.GetKind() == kind {
			entries, _, err := unstructured.NestedSlice(obj.Object, "webhooks")
			require.NoError(t, err)
			entry, ok := entries[i].(map[string]any)
			require.True(t, ok)
			return entry
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

func TestProbes(t *testing.T) {
	parts, err := objects(base, manifests.Namespace)
	require.NoError(t, err)
	configuration := parts.webhooks[0]
	shipped, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	require.NoError(t, err)

	t.Run("alone, no workload is selected", func(t *testing.T) {
		probed := withProbe(configuration, base, "x", true)
		entries, _, err := unstructured.NestedSlice(probed.Object, "webhooks")
		require.NoError(t, err)
		require.Len(t, entries, 1)
		raw, err := probed.MarshalJSON()
		require.NoError(t, err)
		require.NotContains(t, string(raw), "deployments")
		require.Nil(t, bundle(probed), "nothing is trusted yet")
	})
	t.Run("beside the shipped ones, and all trust the bundle", func(t *testing.T) {
		probed := withProbe(configuration, base, "x", false)
		trust(probed, []byte("PEM"))
		entries, _, err := unstructured.NestedSlice(probed.Object, "webhooks")
		require.NoError(t, err)
		require.Len(t, entries, len(shipped)+1)
		for _, entry := range entries {
			webhook, ok := entry.(map[string]any)
			require.True(t, ok)
			text, _, err := unstructured.NestedString(webhook, "clientConfig", "caBundle")
			require.NoError(t, err)
			require.Equal(t, "UEVN", text)
		}
		require.Equal(t, []byte("PEM"), bundle(probed))
	})
	t.Run("the configuration itself stays as it was", func(t *testing.T) {
		now, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
		require.NoError(t, err)
		require.Equal(t, shipped, now)
	})
}
