package split

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
)

// admitted is Admitted where it has to succeed. It checks what holds for every request: nothing that was given is
// changed, and the same again, or of its own result, is the same.
func admitted(t require.TestingT, p Provider, stored, asked *unstructured.Unstructured, sluice bool) (*unstructured.Unstructured, []string) {
	before, text := "", canonical(t, asked)
	if stored != nil {
		before = canonical(t, stored)
	}
	result, warnings, err := Admitted(p, stored, asked, sluice)
	require.NoError(t, err)
	require.Equal(t, text, canonical(t, asked), "the request is not changed")
	if stored != nil {
		require.Equal(t, before, canonical(t, stored), "the stored route is not changed")
	}
	again, _, err := Admitted(p, stored, asked, sluice)
	require.NoError(t, err)
	require.Equal(t, canonical(t, result), canonical(t, again), "the same again")
	reinvoked, _, err := Admitted(p, stored, result, sluice)
	require.NoError(t, err)
	require.Equal(t, canonical(t, result), canonical(t, reinvoked), "of its own result")
	require.Equal(t, recordText(result) != "", result.GetLabels()[ActiveLabel] == "true")
	return result, warnings
}

// asking is the route as sluice's controller sends it.
func asking(t require.TestingT, stored *unstructured.Unstructured, service string, share *Share) *unstructured.Unstructured {
	value, err := Ask(stored, service, share)
	require.NoError(t, err)
	return marked(t, stored, value)
}

// marked is a route with record and label, without both for "".
func marked(t require.TestingT, route *unstructured.Unstructured, record string) *unstructured.Unstructured {
	root, u := copied(route)
	require.NoError(t, setRecord(root, record))
	require.NoError(t, label(root))
	return u
}

// released is a route that admission has split.
func released(t require.TestingT, p Provider, route *unstructured.Unstructured, share Share) *unstructured.Unstructured {
	u := mustSplit(t, p, route, share)
	require.NoError(t, label(node{"", u.Object}))
	return u
}

func TestSluiceAsksForAnyShare(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		one, other := someShare(t), someShare(t)
		one.Workload = "Deployment/web"

		first, warnings := admitted(t, s.provider, route, asking(t, route, "web", &one), true)
		require.Empty(t, warnings)
		require.Equal(t, canonical(t, released(t, s.provider, route, one)), canonical(t, first))
		require.Equal(t, one, Recorded(first)["web"])
		require.Equal(t, canonical(t, first), canonical(t, asking(t, first, "web", &one)), "there is nothing more to ask for")

		second, _ := admitted(t, s.provider, first, asking(t, first, "web", &other), true)
		require.Equal(t, canonical(t, released(t, s.provider, route, other)), canonical(t, second))
		restored, _ := admitted(t, s.provider, second, asking(t, second, "web", nil), true)
		require.Equal(t, canonical(t, route), canonical(t, restored))
	})
}

func TestAChartRewritesTheRouteDuringARelease(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		first, second := someRoute(t, s), someRoute(t, s)
		share := someShare(t)
		stored := released(t, s.provider, first, share)
		want := canonical(t, released(t, s.provider, second, share))

		put, warnings := admitted(t, s.provider, stored, second, false)
		require.Empty(t, warnings)
		require.Equal(t, want, canonical(t, put), "a PUT of the chart's object")
		merged, _ := admitted(t, s.provider, stored, marked(t, second, recordText(stored)), false)
		require.Equal(t, want, canonical(t, merged), "a patch, which leaves the record")

		restored, _ := admitted(t, s.provider, put, asking(t, put, "web", nil), true)
		require.Equal(t, canonical(t, second), canonical(t, restored), "as the chart has it now")
	})
}

// Nobody but sluice drops, changes or makes a share.
func TestARecordIsNotForged(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		share, forged := someShare(t), someShare(t)
		stored := released(t, s.provider, route, share)
		value, err := Ask(stored, "web", &forged)
		require.NoError(t, err)
		api := forged
		api.Names = NamesOf("api")
		another, err := Ask(stored, "api", &api)
		require.NoError(t, err)
		for _, record := range []string{"", "{}", "x", value, another} {
			for _, spec := range []*unstructured.Unstructured{stored, route} {
				got, _ := admitted(t, s.provider, stored, marked(t, spec, record), false)
				require.Equal(t, canonical(t, stored), canonical(t, got))
			}
		}
		whole, _ := admitted(t, s.provider, stored, released(t, s.provider, route, forged), false)
		require.Equal(t, canonical(t, stored), canonical(t, whole), "with the spec that belongs to it")
		none, _ := admitted(t, s.provider, route, released(t, s.provider, route, forged), false)
		require.Equal(t, canonical(t, route), canonical(t, none), "where there is no release")
	})
}

func TestACopyOfARouteIsRestored(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route := someRoute(t, s)
		backup := released(t, s.provider, route, someShare(t))
		got, warnings := admitted(t, s.provider, nil, backup, rapid.Bool().Draw(t, "by sluice"))
		require.Equal(t, canonical(t, route), canonical(t, got))
		require.Len(t, warnings, 1)
	})
}

func TestTwoReleasesOnOneRoute(t *testing.T) {
	eachStyle(t, func(t *rapid.T, s style) {
		route, rewritten := someRoute(t, s), someRoute(t, s)
		one, api := someShare(t), someShare(t)
		api.Names = NamesOf("api")
		for _, r := range []*unstructured.Unstructured{route, rewritten} {
			if _, err := s.provider.Split(r, api); err != nil {
				return
			}
		}
		both, _ := admitted(t, s.provider, route, asking(t, route, "web", &one), true)
		both, _ = admitted(t, s.provider, both, asking(t, both, "api", &api), true)
		require.Len(t, Recorded(both), 2)

		put, _ := admitted(t, s.provider, both, rewritten, false)
		straight := released(t, s.provider, mustSplit(t, s.provider, rewritten, one), api)
		require.Equal(t, canonical(t, straight), canonical(t, put))

		left, _ := admitted(t, s.provider, put, asking(t, put, "web", nil), true)
		require.Equal(t, canonical(t, released(t, s.provider, rewritten, api)), canonical(t, left), "the other release goes on")
		none, _ := admitted(t, s.provider, left, asking(t, left, "api", nil), true)
		require.Equal(t, canonical(t, rewritten), canonical(t, none))
	})
}

// Whatever is stored and asked for, admission answers, twice the same.
func TestHostileRequests(t *testing.T) {
	names := []string{"gateway", "istio", "apisix", "ingress"}
	providers := map[string]Provider{"gateway": gateway, "istio": istio, "apisix": apisix, "ingress": ingress{}}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "kind")
		valid, one, other := routeOf(t, fullIngress), share(20), share(50)
		if name != "ingress" {
			valid, one, other = someRoute(t, styles[name]), someShare(t), someShare(t)
		}
		provider := providers[name]
		stored, asked := released(t, provider, valid, one), released(t, provider, valid, other)
		for range rapid.IntRange(0, 3).Draw(t, "spoilt") {
			spoil(t, rapid.SampledFrom([]*unstructured.Unstructured{stored, asked}).Draw(t, "which").Object)
		}
		sluice := rapid.Bool().Draw(t, "sluice")
		if rapid.Bool().Draw(t, "create") {
			stored = nil
		}
		result, _, err := Admitted(provider, stored, asked, sluice)
		if err != nil {
			return
		}
		again, _, err := Admitted(provider, stored, result, sluice)
		require.NoError(t, err)
		require.Equal(t, canonical(t, result), canonical(t, again))
	})
}
