package manifests

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverKinds are the kinds that run, reach or protect sluice's pods.
var serverKinds = map[string]bool{
	"Deployment":          true,
	"Service":             true,
	"PodDisruptionBudget": true,
	"NetworkPolicy":       true,
	"ResourceQuota":       true,
}

// WithoutServer returns what a sluice that runs outside the cluster still needs
// inside it: namespace, account, permissions, policy and webhooks. The objects
// are the given ones, not copies.
func WithoutServer(objs []*unstructured.Unstructured) []*unstructured.Unstructured {
	var kept []*unstructured.Unstructured
	for _, obj := range objs {
		if !serverKinds[obj.GetKind()] {
			kept = append(kept, obj)
		}
	}
	return kept
}

// ForURL returns the objects with every webhook pointed at base plus its path
// instead of at the Service. base is https and has no path of its own; the
// API server accepts nothing else. Configurations are copied, other objects are
// the given ones.
func ForURL(objs []*unstructured.Unstructured, base string) []*unstructured.Unstructured {
	pointed := make([]*unstructured.Unstructured, 0, len(objs))
	for _, obj := range objs {
		if isWebhookConfiguration(obj) {
			obj = obj.DeepCopy()
			pointAt(obj, strings.TrimSuffix(base, "/"))
		}
		pointed = append(pointed, obj)
	}
	return pointed
}

func isWebhookConfiguration(obj *unstructured.Unstructured) bool {
	kind := obj.GetKind()
	return kind == "MutatingWebhookConfiguration" || kind == "ValidatingWebhookConfiguration"
}

func pointAt(configuration *unstructured.Unstructured, base string) {
	webhooks, _ := configuration.Object["webhooks"].([]any)
	for _, webhook := range webhooks {
		entry, _ := webhook.(map[string]any)
		path, found, _ := unstructured.NestedString(entry, "clientConfig", "service", "path")
		if !found {
			continue
		}
		unstructured.RemoveNestedField(entry, "clientConfig", "service")
		// Cannot fail: the path above was read through the same maps.
		_ = unstructured.SetNestedField(entry, base+path, "clientConfig", "url")
	}
}
