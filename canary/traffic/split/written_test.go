package split

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestWhenARouteWasWritten: what its provider says of it is no write, and its canary Ingress is a part of it.
func TestWhenARouteWasWritten(t *testing.T) {
	at := func(minute int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 11, 22, 12, minute, 0, 0, time.UTC)}
	}
	made := func(created int, entries ...metav1.ManagedFieldsEntry) *unstructured.Unstructured {
		route := &unstructured.Unstructured{Object: map[string]any{}}
		route.SetCreationTimestamp(*at(created))
		route.SetManagedFields(entries)
		return route
	}
	helm, sluice := metav1.ManagedFieldsEntry{Manager: "helm", Time: at(1)}, metav1.ManagedFieldsEntry{Manager: "sluice", Time: at(3)}
	status := metav1.ManagedFieldsEntry{Manager: "gate", Subresource: "status", Time: at(9)}
	tests := map[string]struct {
		route, companion *unstructured.Unstructured
		want             int
	}{
		"it was created":                    {route: made(2), want: 2},
		"it was written since":              {route: made(0, helm, sluice, status), want: 3},
		"its canary Ingress was":            {route: made(0, helm), companion: made(2, sluice), want: 3},
		"its canary Ingress was long ago":   {route: made(0, sluice), companion: made(0, helm), want: 3},
		"its canary Ingress was created":    {route: made(0, helm), companion: made(2), want: 2},
		"nobody says when, but its creator": {route: made(4, metav1.ManagedFieldsEntry{Manager: "helm"}), want: 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.True(t, at(test.want).Time.Equal(Written(test.route, test.companion)))
		})
	}
}
