package split

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
)

// style is how a kind writes what the model says.
type style struct {
	provider weighted
	header   string
	backend  func(name string, port int64) map[string]any
	rule     func(n int) map[string]any
}

var styles = map[string]style{
	"gateway": {
		provider: gateway, header: httpRoute,
		backend: func(name string, port int64) map[string]any {
			return map[string]any{"group": "", "kind": "Service", "name": name, "port": port}
		},
		rule: func(n int) map[string]any {
			return map[string]any{"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": fmt.Sprintf("/%d", n)}}}, "later": map[string]any{"ratio": 1.5}}
		},
	},
	"istio": {
		provider: istio, header: virtualService,
		backend: func(name string, port int64) map[string]any {
			return map[string]any{"destination": map[string]any{"host": name + ".shop.svc.cluster.local", "port": map[string]any{"number": port}}}
		},
		rule: func(n int) map[string]any {
			return map[string]any{"name": fmt.Sprintf("r%d", n), "match": []any{map[string]any{"uri": map[string]any{"prefix": fmt.Sprintf("/%d", n)}}}, "timeout": "3s"}
		},
	},
	"apisix": {
		provider: apisix, header: apisixRoute,
		backend: func(name string, port int64) map[string]any {
			return map[string]any{"serviceName": name, "servicePort": port}
		},
		rule: func(n int) map[string]any {
			return map[string]any{"name": fmt.Sprintf("r%d", n), "match": map[string]any{"paths": []any{fmt.Sprintf("/%d", n)}}, "websocket": true}
		},
	},
}

// someRoute has the Service web at least once.
func someRoute(t *rapid.T, s style) *unstructured.Unstructured {
	u := routeOf(t, s.header)
	if rapid.Bool().Draw(t, "annotated") {
		u.SetAnnotations(map[string]string{"note": "x"})
	}
	var rules []any
	for n := range rapid.IntRange(1, 4).Draw(t, "rules") {
		rule := s.rule(n)
		if backends := someBackends(t, s, n == 0); len(backends) > 0 || rapid.Bool().Draw(t, "empty list") {
			rule[s.provider.backends] = backends
		}
		rules = append(rules, rule)
	}
	u.Object["spec"] = map[string]any{s.provider.rules: rules, "hosts": []any{"a"}}
	return u
}

func someBackends(t *rapid.T, s style, withService bool) []any {
	names := rapid.SliceOfN(rapid.SampledFrom([]string{"web", "api", "old"}), 0, 4).Draw(t, "services")
	if withService {
		names = append(names, "web")
	}
	backends := []any{}
	for _, name := range names {
		b := s.backend(name, int64(rapid.IntRange(80, 82).Draw(t, "port")))
		if rapid.Bool().Draw(t, "weighted") {
			b["weight"] = int64(rapid.SampledFrom([]int{0, 1, 7, 50, 100, 1000, 999_999}).Draw(t, "weight"))
		}
		backends = append(backends, b)
	}
	return backends
}

func someShare(t *rapid.T) Share {
	s := Share{Names: web, Weight: int32(rapid.IntRange(0, 100).Draw(t, "percent"))}
	switch rapid.IntRange(0, 2).Draw(t, "match") {
	case 1:
		s.Match = Match{Header: "x-canary", Value: "yes"}
	case 2:
		s.Match = Match{Cookie: "c", Value: "1"}
	}
	return s
}

func eachStyle(t *testing.T, check func(t *rapid.T, s style)) {
	for name, s := range styles {
		t.Run(name, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { check(t, s) }) })
	}
}

func mustSplit(t require.TestingT, p Provider, u *unstructured.Unstructured, s Share) *unstructured.Unstructured {
	result, err := p.Split(u, s)
	require.NoError(t, err)
	return result.Route
}

func mustRestore(t require.TestingT, p Provider, u *unstructured.Unstructured) *unstructured.Unstructured {
	restored, err := p.Restore(u, web)
	require.NoError(t, err)
	return restored
}

func TestAnyRouteIsSplitAndRestored(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		before := canonical(t, route)
		one, other := someShare(t), someShare(t)

		split := mustSplit(t, s.provider, route, one)
		require.Equal(t, before, canonical(t, route), "the argument is not changed")
		require.Equal(t, canonical(t, split), canonical(t, mustSplit(t, s.provider, split, one)), "idempotent")
		moved := mustSplit(t, s.provider, split, other)
		require.Equal(t, canonical(t, mustSplit(t, s.provider, route, other)), canonical(t, moved), "as if of the original")
		require.Equal(t, before, canonical(t, mustRestore(t, s.provider, moved)))
		require.Equal(t, before, canonical(t, mustRestore(t, s.provider, route)), "restoring what is not split")

		reading, err := s.provider.Read(split, nil, web)
		require.NoError(t, err)
		require.True(t, reading.Split)
		require.LessOrEqual(t, reading.Weight, one.Weight, "never more than the share")
	})
}

func TestWhatIsNotTheServicesStays(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		split := mustSplit(t, s.provider, route, someShare(t))
		old, made := rulesIn(route, s), rulesIn(split, s)
		for _, rule := range old {
			i := slices.IndexFunc(made, func(m map[string]any) bool { return bare(m, s) == bare(rule, s) })
			require.GreaterOrEqual(t, i, 0, "the rule but for its backends")
			require.Equal(t, others(t, s, rule, web.Service), others(t, s, made[i], web.Stable, web.Canary))
			sumsStay(t, s, rule, made[i])
		}
	})
}

func rulesIn(u *unstructured.Unstructured, s style) []map[string]any {
	var rules []map[string]any
	for _, rule := range u.Object["spec"].(map[string]any)[s.provider.rules].([]any) {
		rules = append(rules, rule.(map[string]any))
	}
	return rules
}

// bare is a rule without its backends.
func bare(rule map[string]any, s style) string {
	return hashOf(node{"", rule}.with(s.provider.backends, nil).fields)
}

// others are the backends that are not those Services.
func others(t require.TestingT, s style, rule map[string]any, services ...string) string {
	backends, err := node{"", rule}.objects(s.provider.backends)
	require.NoError(t, err)
	var kept []any
	for _, b := range backends {
		if !slices.Contains(services, s.provider.service(b, "shop")) {
			kept = append(kept, b.fields)
		}
	}
	raw, err := json.Marshal(kept)
	require.NoError(t, err)
	return string(raw)
}

// sumsStay: beside backends with weights the pairs have what the Service's backends had.
func sumsStay(t require.TestingT, s style, old, made map[string]any) {
	sums := func(rule map[string]any) (own, beside int64) {
		entries, err := s.provider.entries(node{"", rule}, web, "shop")
		require.NoError(t, err)
		for _, e := range entries {
			if e.role == other {
				beside += e.weight
			} else {
				own += e.weight
			}
		}
		return own, beside
	}
	before, beside := sums(old)
	if after, _ := sums(made); beside > 0 {
		require.Equal(t, before, after)
	}
}

func TestAChartRewritesTheRoute(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		first, second := someRoute(t, s), someRoute(t, s)
		share := someShare(t)
		split := mustSplit(t, s.provider, first, share)
		want := mustSplit(t, s.provider, second, share)

		// A PUT of the chart's object: the record is gone.
		require.Equal(t, canonical(t, want), canonical(t, mustSplit(t, s.provider, second, Recorded(split)["web"])))

		// A merge patch: the lists are the chart's, the record stays.
		merged := second.DeepCopy()
		annotations := merged.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[RecordAnnotation] = split.GetAnnotations()[RecordAnnotation]
		merged.SetAnnotations(annotations)
		require.Equal(t, canonical(t, want), canonical(t, mustSplit(t, s.provider, merged, share)))
		require.Equal(t, canonical(t, second), canonical(t, mustRestore(t, s.provider, merged)))
	})
}

func TestTwoServicesOfARouteAreSplitApart(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		api := someShare(t)
		api.Names = NamesOf("api")
		_, err := s.provider.Split(route, api)
		if err != nil {
			require.ErrorIs(t, err, ErrNoBackend)
			return
		}
		one := someShare(t)
		both := mustSplit(t, s.provider, mustSplit(t, s.provider, route, one), api)
		require.Equal(t, canonical(t, both), canonical(t, mustSplit(t, s.provider, both, one)), "whoever comes last")
		require.Equal(t, canonical(t, both), canonical(t, mustSplit(t, s.provider, both, api)), "whoever comes last")
		onlyAPI := mustRestore(t, s.provider, both)
		require.Equal(t, canonical(t, mustSplit(t, s.provider, route, api)), canonical(t, onlyAPI), "as if the other had never been split")
		restored, err := s.provider.Restore(onlyAPI, api.Names)
		require.NoError(t, err)
		require.Equal(t, canonical(t, route), canonical(t, restored))

		first, err := s.provider.Restore(both, api.Names)
		require.NoError(t, err)
		require.Equal(t, canonical(t, route), canonical(t, mustRestore(t, s.provider, first)))
	})
}
