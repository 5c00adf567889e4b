package split

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
)

// Any JSON is a route to somebody. Nothing panics, and what is split is restored.
func TestHostileRoutes(t *testing.T) {
	words := rapid.SampledFrom([]string{
		"spec", "rules", "http", "backendRefs", "route", "backends", "name", "serviceName", "destination", "host", "weight", "match", "matches", "headers", "exprs", "filters", "status", "parents", "conditions",
		"parentRefs", "metadata", "annotations", RecordAnnotation, nginx + "canary", "backend", "service", "paths", "defaultBackend", "tls", "hosts", "web", "web-stable", "web-canary", "upstreams", "plugins", "type", "validationMessages",
	})
	var value func(t *rapid.T, depth int) any
	value = func(t *rapid.T, depth int) any {
		kind := rapid.IntRange(0, 8).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		}
		switch kind {
		case 0:
			return nil
		case 1:
			return words.Draw(t, "text")
		case 2:
			return int64(rapid.IntRange(-1, 3).Draw(t, "number"))
		case 3:
			return 1.5
		case 4:
			return true
		case 5, 6:
			list := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				list = append(list, value(t, depth-1))
			}
			return list
		default:
			fields := map[string]any{}
			for range rapid.IntRange(0, 4).Draw(t, "fields") {
				fields[words.Draw(t, "field")] = value(t, depth-1)
			}
			return fields
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		fields := map[string]any{"spec": value(t, 7), "metadata": value(t, 3), "status": value(t, 5)}
		route := &unstructured.Unstructured{Object: fields}
		for _, p := range []Provider{gateway, istio, apisix, ingress{}} {
			share := someShare(t)
			result, err := p.Split(route, share)
			if err == nil {
				_, err = p.Restore(result.Route, web)
				require.NoError(t, err)
			}
			_, _ = p.Restore(route, web)
			_, _ = p.Read(route, route, web)
			_ = Recorded(route)
		}
	})
}

// A valid route with something else at one place.
func TestRoutesThatAreWrongAtOnePlace(t *testing.T) {
	valid := map[string]*unstructured.Unstructured{}
	for name, s := range styles {
		u := routeOf(t, s.header)
		rule := s.rule(0)
		rule[s.provider.backends] = []any{s.backend("web", 80), s.backend("api", 80)}
		u.Object["spec"] = map[string]any{s.provider.rules: []any{rule}}
		valid[name] = mustSplit(t, s.provider, u, matching(20, "x", "y"))
	}
	valid["ingress"] = mustSplit(t, ingress{}, routeOf(t, fullIngress), matching(20, "x", "y"))
	for name, u := range valid {
		t.Run(name, func(t *testing.T) {
			provider, ok := For(u.GroupVersionKind().GroupKind())
			require.True(t, ok)
			rapid.Check(t, func(t *rapid.T) {
				route := u.DeepCopy()
				spoil(t, route.Object)
				_, _ = provider.Restore(route, web)
				_, _ = provider.Read(route, route, web)
				result, err := provider.Split(route, someShare(t))
				if err != nil {
					return
				}
				restored, err := provider.Restore(result.Route, web)
				require.NoError(t, err)
				again, err := provider.Split(restored, share(20))
				require.NoError(t, err)
				require.Equal(t, canonical(t, mustRestore(t, provider, again.Route)), canonical(t, restored))
			})
		})
	}
}

func spoil(t *rapid.T, in map[string]any) {
	key := rapid.SampledFrom(slices.Sorted(maps.Keys(in))).Draw(t, "key")
	deeper := func(value any) bool {
		fields, ok := value.(map[string]any)
		if ok && len(fields) > 0 && rapid.IntRange(0, 5).Draw(t, "deeper") > 0 {
			spoil(t, fields)
			return true
		}
		return false
	}
	if list, ok := in[key].([]any); ok && len(list) > 0 {
		i := rapid.IntRange(0, len(list)-1).Draw(t, "item")
		if deeper(list[i]) {
			return
		}
		list[i] = rapid.SampledFrom([]any{nil, "", int64(-1), []any{}, map[string]any{}}).Draw(t, "item instead")
		return
	}
	if !deeper(in[key]) {
		in[key] = rapid.SampledFrom([]any{nil, "", "web", int64(-1), true, []any{map[string]any{}}, map[string]any{"web": map[string]any{}}}).Draw(t, "instead")
	}
}

// Whoever may write a route may write a large one, and a large record: what they cost grows with their size only.
func TestALargeRoute(t *testing.T) {
	var backends, recorded []any
	for i := range 3000 {
		backends = append(backends, map[string]any{"serviceName": "web-stable", "weight": int64(i)}, map[string]any{"serviceName": "web-canary"})
		recorded = append(recorded, map[string]any{"at": "9/9", "weight": int64(1), "sum": int64(i)})
	}
	route := routeOf(t, apisixRoute)
	route.Object["spec"] = map[string]any{"http": []any{map[string]any{"name": "a", "backends": backends}}}
	route.SetAnnotations(map[string]string{RecordAnnotation: jsonOf(map[string]any{"web": map[string]any{"backends": recorded}})})
	split := mustSplit(t, apisix, route, matching(20, "x", "y"))
	require.NotEmpty(t, mustRestore(t, apisix, split))
}
