package split

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var web = NamesOf("web")

func share(weight int32) Share { return Share{Names: web, Weight: weight} }

func matching(weight int32, header, value string) Share {
	return Share{Names: web, Weight: weight, Match: Match{Header: header, Value: value}}
}

// routeOf reads a route as the API server's JSON is read. Of a route without metadata it is shop/web.
func routeOf(t require.TestingT, text string) *unstructured.Unstructured {
	raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "\t", "  ")))
	require.NoError(t, err)
	u := &unstructured.Unstructured{}
	require.NoError(t, u.UnmarshalJSON(raw))
	if u.GetName() == "" {
		u.SetName("web")
	}
	if u.GetNamespace() == "" {
		u.SetNamespace("shop")
	}
	return u
}

// canonical is the JSON of a route, with sorted keys.
func canonical(t require.TestingT, u *unstructured.Unstructured) string {
	raw, err := json.Marshal(u.Object)
	require.NoError(t, err)
	return string(raw)
}

// specOf returns the spec of a route as YAML.
func specOf(t require.TestingT, u *unstructured.Unstructured) string {
	raw, err := yaml.Marshal(u.Object["spec"])
	require.NoError(t, err)
	return string(raw)
}

// sameYAML compares a spec with what a test says of it.
func sameYAML(t *testing.T, want string, u *unstructured.Unstructured) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(want, "\t", "  ")))
	require.NoError(t, err)
	var spec any
	require.NoError(t, json.Unmarshal(raw, &spec))
	normal, err := yaml.Marshal(spec)
	require.NoError(t, err)
	require.Equal(t, string(normal), specOf(t, u))
}

// roundTrip splits and restores, and checks on the way what holds for every split.
func roundTrip(t *testing.T, p Provider, route *unstructured.Unstructured, s Share) Result {
	t.Helper()
	before := canonical(t, route)
	result, err := p.Split(route, s)
	require.NoError(t, err)
	require.Equal(t, before, canonical(t, route), "the route that was given is not changed")

	again, err := p.Split(result.Route, s)
	require.NoError(t, err)
	require.Equal(t, canonical(t, result.Route), canonical(t, again.Route), "splitting again changes nothing")

	other := Share{Names: s.Names, Weight: 100 - s.Weight}
	moved, err := p.Split(result.Route, other)
	require.NoError(t, err)
	straight, err := p.Split(route, other)
	require.NoError(t, err)
	require.Equal(t, canonical(t, straight.Route), canonical(t, moved.Route), "another weight is that of the original")

	restored, err := p.Restore(result.Route, s.Names)
	require.NoError(t, err)
	require.Equal(t, before, canonical(t, restored))

	reading, err := p.Read(result.Route, result.Companion, s.Names)
	require.NoError(t, err)
	require.True(t, reading.Split)
	return result
}
