package split

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Silent tells whether providers of a kind need not say when they have taken up a route: they get canary.Unsaid for it.
func Silent(kind schema.GroupKind) bool { return kind.Group != GatewayGroup }

// Written is when anybody last wrote a route, or another object, or its canary Ingress, nil where there is none. What a provider says in
// the status is no write.
func Written(route, companion *unstructured.Unstructured) time.Time {
	var last time.Time
	for _, object := range []*unstructured.Unstructured{route, companion} {
		if object == nil {
			continue
		}
		if created := object.GetCreationTimestamp().Time; created.After(last) {
			last = created
		}
		for _, entry := range object.GetManagedFields() {
			if entry.Subresource == "" && entry.Time != nil && entry.Time.After(last) {
				last = entry.Time.Time
			}
		}
	}
	return last
}
