package split

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestWhatPeopleChangeMeanwhile edits a split route and restores it.
func TestWhatPeopleChangeMeanwhile(t *testing.T) {
	type fields = map[string]any
	list := func(u *unstructured.Unstructured, rule int) []any {
		return u.Object["spec"].(fields)["rules"].([]any)[rule].(fields)["backendRefs"].([]any)
	}
	setList := func(u *unstructured.Unstructured, rule int, backends ...any) {
		u.Object["spec"].(fields)["rules"].([]any)[rule].(fields)["backendRefs"] = backends
	}
	const two = `{rules: [{backendRefs: [{name: web, port: 80, weight: 7}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`
	tests := map[string]struct {
		edit func(u *unstructured.Unstructured)
		want string
	}{
		"a rule in front": {
			func(u *unstructured.Unstructured) {
				spec := u.Object["spec"].(fields)
				spec["rules"] = append([]any{fields{"backendRefs": []any{fields{"name": "web", "port": int64(80)}}}}, spec["rules"].([]any)...)
			},
			`{rules: [{backendRefs: [{name: web, port: 80}]}, {backendRefs: [{name: web, port: 80, weight: 7}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"the weight of another backend": {
			func(u *unstructured.Unstructured) { list(u, 1)[0].(fields)["weight"] = int64(20) },
			`{rules: [{backendRefs: [{name: web, port: 80, weight: 7}]}, {backendRefs: [{name: api, weight: 20}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"the weights of a pair beside others: their sum is meant": {
			func(u *unstructured.Unstructured) { list(u, 1)[1].(fields)["weight"] = int64(80) },
			`{rules: [{backendRefs: [{name: web, port: 80, weight: 7}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 90}]}]}`,
		},
		"the weights of a pair that is alone: they mean nothing": {
			func(u *unstructured.Unstructured) { list(u, 0)[0].(fields)["weight"] = int64(3) },
			two,
		},
		"another backend beside a pair that was alone": {
			func(u *unstructured.Unstructured) { setList(u, 0, append(list(u, 0), fields{"name": "old"})...) },
			`{rules: [{backendRefs: [{name: web, port: 80, weight: 7}, {name: old}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"half of a pair removed": {
			func(u *unstructured.Unstructured) { setList(u, 0, list(u, 0)[1]) },
			two,
		},
		"half of a pair removed beside others": {
			func(u *unstructured.Unstructured) { setList(u, 1, list(u, 1)[0], list(u, 1)[2]) },
			two,
		},
		"the Service beside a canary that is left over": {
			func(u *unstructured.Unstructured) {
				setList(u, 0, fields{"name": "web", "port": int64(80), "weight": int64(7)}, list(u, 0)[1])
			},
			two,
		},
		"a filter of one half, and the record removed": {
			func(u *unstructured.Unstructured) {
				u.SetAnnotations(nil)
				list(u, 1)[1].(fields)["filters"] = []any{fields{"type": "Later"}}
			},
			`{rules: [{backendRefs: [{name: web, port: 80}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50, filters: [{type: Later}]}]}]}`,
		},
		"the order of a pair": {
			func(u *unstructured.Unstructured) { setList(u, 0, list(u, 0)[1], list(u, 0)[0]) },
			two,
		},
		"a filter of one half only: the stable one counts": {
			func(u *unstructured.Unstructured) { list(u, 0)[0].(fields)["filters"] = []any{fields{"type": "Later"}} },
			`{rules: [{backendRefs: [{name: web, port: 80, weight: 7, filters: [{type: Later}]}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"the first rule removed": {
			func(u *unstructured.Unstructured) {
				spec := u.Object["spec"].(fields)
				spec["rules"] = spec["rules"].([]any)[1:]
			},
			`{rules: [{backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"the record removed: a pair that is alone has no weight": {
			func(u *unstructured.Unstructured) { u.SetAnnotations(nil) },
			`{rules: [{backendRefs: [{name: web, port: 80}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"a record that cannot be read": {
			func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{RecordAnnotation: "{"}) },
			`{rules: [{backendRefs: [{name: web, port: 80}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
		"a forged record: weights that the API would refuse count for nothing": {
			func(u *unstructured.Unstructured) {
				u.SetAnnotations(map[string]string{RecordAnnotation: `{"web":{"backends":[{"at":"0/0","weight":"x"},{"at":"1/0","weight":-5,"sum":50}]}}`})
			},
			`{rules: [{backendRefs: [{name: web, port: 80}]}, {backendRefs: [{name: api, weight: 50}, {name: web, port: 80, weight: 50}]}]}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			split := mustSplit(t, gateway, routeOf(t, httpRoute+"spec: "+two), share(20))
			test.edit(split)
			restored := mustRestore(t, gateway, split)
			sameYAML(t, test.want, restored)
			require.Empty(t, restored.GetAnnotations())
			require.Equal(t, canonical(t, mustSplit(t, gateway, restored, share(30))), canonical(t, mustSplit(t, gateway, split, share(30))))
		})
	}
}

func TestARuleForAMatchGoesOnlyWhereItIsSluices(t *testing.T) {
	split := mustSplit(t, gateway, routeOf(t, httpRoute+"spec: {rules: [{backendRefs: [{name: web}]}]}"), matching(10, "x", "y"))
	rules := split.Object["spec"].(map[string]any)["rules"].([]any)
	require.Len(t, rules, 2)
	rules[0].(map[string]any)["backendRefs"] = rules[0].(map[string]any)["backendRefs"].([]any)[1:]
	sameYAML(t, "{rules: [{backendRefs: [{name: web}]}]}", mustRestore(t, gateway, split))
}

func TestALoneDestinationThatGetsCompany(t *testing.T) {
	for _, weight := range []string{"", ", weight: 0"} {
		split := mustSplit(t, istio, routeOf(t, virtualService+"spec: {http: [{route: [{destination: {host: web}"+weight+"}]}]}"), share(20))
		rule := split.Object["spec"].(map[string]any)["http"].([]any)[0].(map[string]any)
		rule["route"] = append(rule["route"].([]any), map[string]any{"destination": map[string]any{"host": "api"}, "weight": int64(50)})
		sameYAML(t, "{http: [{route: [{destination: {host: web}, weight: 100}, {destination: {host: api}, weight: 50}]}]}", mustRestore(t, istio, split))
	}
}

func TestAWeightFollowsItsBackendIntoAnotherRule(t *testing.T) {
	split := mustSplit(t, gateway, routeOf(t, httpRoute+"spec: {rules: [{backendRefs: [{name: web, port: 81, weight: 3}]}, {backendRefs: [{name: web, port: 80, weight: 7}]}]}"), share(10))
	spec := split.Object["spec"].(map[string]any)
	spec["rules"] = spec["rules"].([]any)[1:]
	spec["rules"].([]any)[0].(map[string]any)["name"] = "new"
	sameYAML(t, "{rules: [{name: new, backendRefs: [{name: web, port: 80, weight: 7}]}]}", mustRestore(t, gateway, split))
}

func TestARecordOfTooManyServices(t *testing.T) {
	route := routeOf(t, httpRoute+"spec: {rules: [{backendRefs: [{name: web}]}]}")
	all := map[string]any{}
	for i := range mostServices {
		name := fmt.Sprint("s", i)
		all[name] = map[string]any{"stable": name + "-stable", "canary": name + "-canary"}
	}
	route.SetAnnotations(map[string]string{RecordAnnotation: jsonOf(all)})
	require.Len(t, Recorded(route), mostServices)

	all["one-more"] = map[string]any{"stable": "one-more-stable", "canary": "one-more-canary"}
	route.SetAnnotations(map[string]string{RecordAnnotation: jsonOf(all)})
	require.Empty(t, Recorded(route))
	require.Equal(t, []string{"web"}, slices.Collect(maps.Keys(Recorded(mustSplit(t, gateway, route, share(1))))))
}

func TestRecordedShares(t *testing.T) {
	want := matching(20, "x", "y")
	split := mustSplit(t, gateway, routeOf(t, httpRoute+"spec: {rules: [{backendRefs: [{name: web}]}]}"), want)
	require.Equal(t, map[string]Share{"web": want}, Recorded(split))
	require.Empty(t, Recorded(mustRestore(t, gateway, split)))
	require.Empty(t, Recorded(nil))

	split.SetAnnotations(map[string]string{RecordAnnotation: `{"web":{"stable":"web","canary":"web"},"api":{"stable":"a","canary":"b","weight":101}}`})
	require.Empty(t, Recorded(split))
}
