package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"sluice.dev/sluice/test/e2e/gateway"
)

// routes are all versions of a namespace's routes that were stored since a test began to watch.
type routes struct {
	kind gateway.Kind

	mu       sync.Mutex
	versions []version
}

// version is a route as it was stored, and when the test saw that.
type version struct {
	at    time.Time
	route *unstructured.Unstructured
}

// watchRoutes watches from now on, until the test ends.
func watchRoutes(t *testing.T, kind gateway.Kind, namespace string) *routes {
	t.Helper()
	client := plane.Routes(kind, namespace)
	list, err := client.List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	events, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	require.NoError(t, err)
	t.Cleanup(cancel)
	r := &routes{kind: kind}
	go func() {
		for e := range events.ResultChan() {
			if route, ok := e.Object.(*unstructured.Unstructured); ok && e.Type != watch.Deleted {
				r.add(version{time.Now(), route})
			}
		}
	}()
	return r
}

func (r *routes) add(v version) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions = append(r.versions, v)
}

func (r *routes) seen() []version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]version(nil), r.versions...)
}

// firstWeight returns when the canary got a weight of more than 0 for the first time.
func (r *routes) firstWeight(t *testing.T) time.Time {
	t.Helper()
	for _, v := range r.seen() {
		if canaryWeight(t, r.kind, v.route) > 0 {
			return v.at
		}
	}
	require.Fail(t, "the canary never got a weight")
	return time.Time{}
}

// canaryWeight returns the weight that a stored route gives to the canary.
func canaryWeight(t *testing.T, kind gateway.Kind, route *unstructured.Unstructured) int64 {
	t.Helper()
	if kind.Name == gateway.Ingress.Name {
		value, ok := route.GetAnnotations()["nginx.ingress.kubernetes.io/canary-weight"]
		if !ok {
			return 0
		}
		weight, err := strconv.ParseInt(value, 10, 64)
		require.NoError(t, err)
		return weight
	}
	for _, b := range backends(t, kind, route) {
		if b.Name == "web-canary" {
			return b.Weight
		}
	}
	return 0
}

type backendRef struct {
	Name   string `json:"name"`
	Weight int64  `json:"weight"`
}

// backends returns the Services that a route leads to.
func backends(t *testing.T, kind gateway.Kind, route *unstructured.Unstructured) []backendRef {
	t.Helper()
	raw, err := json.Marshal(route.Object["spec"])
	require.NoError(t, err)
	var spec struct {
		Rules []struct {
			BackendRefs []backendRef
			HTTP        struct {
				Paths []struct {
					Backend struct{ Service backendRef }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &spec))
	var found []backendRef
	for _, rule := range spec.Rules {
		found = append(found, rule.BackendRefs...)
		for _, path := range rule.HTTP.Paths {
			found = append(found, path.Backend.Service)
		}
	}
	require.NotEmpty(t, found, "%s %s", kind.Name, route.GetName())
	return found
}

// same compares what a route says: its spec, labels and annotations.
func same(want, got *unstructured.Unstructured) error {
	content := func(route *unstructured.Unstructured) string {
		raw, err := json.Marshal([]any{route.Object["spec"], route.GetLabels(), route.GetAnnotations()})
		if err != nil {
			panic("this is a bug: " + err.Error())
		}
		return string(raw)
	}
	if content(want) != content(got) {
		return fmt.Errorf("it is %s and was %s", content(got), content(want))
	}
	return nil
}
