package split

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func ofWorkload(weight int32) Share {
	s := share(weight)
	s.Workload = "Deployment/web"
	return s
}

func TestWhatAdmissionSays(t *testing.T) {
	const backend = "{destination: {host: web}}"
	plain := routeOf(t, virtualService+"spec: {http: [{route: ["+backend+"]}]}")
	stored := released(t, istio, plain, ofWorkload(20))
	with := func(spec string) *unstructured.Unstructured {
		u := routeOf(t, virtualService+"spec: "+spec)
		u.SetAnnotations(stored.GetAnnotations())
		return u
	}
	tests := map[string]struct {
		stored, asked *unstructured.Unstructured
		sluice        bool
		want          string // the spec
		wantRecord    bool
		wantWarning   string
	}{
		"the Service is gone from the route": {
			stored: stored, asked: with(`{http: [{route: [{destination: {host: api}}]}]}`),
			want:        `{http: [{route: [{destination: {host: api}}]}]}`,
			wantWarning: "sluice: this VirtualService has no backend of Service web any more: the release of Deployment/web no longer divides requests of it",
		},
		"the chart uses subsets now": {
			stored: stored, asked: with(`{http: [{route: [{destination: {host: web, subset: v1}}]}]}`),
			want:        `{http: [{route: [{destination: {host: web, subset: v1}}]}]}`,
			wantWarning: "sluice: the release of Deployment/web waits: it cannot divide the requests of Service web on this VirtualService, and all go to the Service itself: spec.http[0].route[0].destination names subset v1, which a DestinationRule defines for this host only: it cannot be split",
		},
		"half of the pair gets a subset": {
			stored: stored, asked: with(`{http: [{route: [{destination: {host: web-stable, subset: v1}, weight: 80}, {destination: {host: web-canary}, weight: 20}]}]}`),
			want:        `{http: [{route: [{destination: {host: web, subset: v1}}]}]}`,
			wantWarning: "sluice: the release of Deployment/web waits: it cannot divide the requests of Service web on this VirtualService, and all go to the Service itself: spec.http[0].route[0].destination names subset v1, which a DestinationRule defines for this host only: it cannot be split",
		},
		"a weight that is none": {
			stored: stored, asked: with(`{http: [{route: [{destination: {host: web}, weight: -1}]}]}`),
			want: `{http: [{route: [{destination: {host: web}, weight: -1}]}]}`, wantRecord: true,
			wantWarning: "sluice cannot read this VirtualService: spec.http[0].route[0].weight: -1 is not a weight from 0 to 2147483647; it is stored as it is, and a release that divides its requests waits",
		},
		"a file that was saved during a release, when there is none": {
			stored: plain, asked: stored, want: `{http: [{route: [` + backend + `]}]}`,
			wantWarning: "this VirtualService was saved while a release divided the requests of Service web: sluice stores it without",
		},
		"the same file as a new route": {
			asked: stored, want: `{http: [{route: [` + backend + `]}]}`,
			wantWarning: "this VirtualService was saved while a release divided the requests of Service web: sluice stores it without",
		},
		"the same file as a new route, by sluice": {
			asked: stored, sluice: true, want: `{http: [{route: [` + backend + `]}]}`,
			wantWarning: "this VirtualService was saved while a release divided the requests of Service web: sluice stores it without",
		},
		"a record that cannot be read on a new route": {
			asked: marked(t, plain, "{"), want: `{http: [{route: [` + backend + `]}]}`,
		},
		"a share without a workload": {
			stored: released(t, istio, plain, share(20)), asked: with(`{}`), want: `{}`,
			wantWarning: "sluice: this VirtualService has no backend of Service web any more: a release no longer divides requests of it",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, warnings := admitted(t, istio, test.stored, test.asked, test.sluice)
			sameYAML(t, test.want, got)
			require.Equal(t, test.wantRecord, len(Recorded(got)) > 0)
			if test.wantWarning == "" {
				require.Empty(t, warnings)
				return
			}
			require.Equal(t, []string{test.wantWarning}, warnings)
		})
	}
}

func TestALabelThatIsNotSluicesLeavesNoTrace(t *testing.T) {
	plain := routeOf(t, virtualService+"spec: {http: [{route: [{destination: {host: web}}]}]}")
	for _, value := range []string{"true", "false", "yes"} {
		labelled := plain.DeepCopy()
		labelled.SetLabels(map[string]string{ActiveLabel: value})
		got, _ := admitted(t, istio, plain, labelled, false)
		require.Equal(t, canonical(t, plain), canonical(t, got))

		asked := asking(t, plain, "web", &Share{Names: web, Weight: 20})
		asked.SetLabels(map[string]string{ActiveLabel: value, "team": "shop"})
		split, _ := admitted(t, istio, labelled, asked, true)
		require.Equal(t, map[string]string{ActiveLabel: "true", "team": "shop"}, split.GetLabels())
	}
}

func TestTheOtherReleaseGoesOnWhereOneCannot(t *testing.T) {
	route := routeOf(t, virtualService+"spec: {http: [{route: [{destination: {host: web}}]}, {route: [{destination: {host: api}}]}]}")
	api := Share{Names: NamesOf("api"), Weight: 5, Workload: "StatefulSet/api"}
	stored := released(t, istio, mustSplit(t, istio, route, ofWorkload(20)), api)
	subset := routeOf(t, virtualService+"spec: {http: [{route: [{destination: {host: web, subset: v1}}]}, {route: [{destination: {host: api}}]}]}")
	got, warnings := admitted(t, istio, stored, subset, false)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "the release of Deployment/web waits")
	require.Equal(t, map[string]Share{"api": api}, Recorded(got))
	require.Equal(t, canonical(t, released(t, istio, subset, api)), canonical(t, got))
}

func TestAdmissionOfIngresses(t *testing.T) {
	main := routeOf(t, fullIngress)
	one := ofWorkload(20)
	first, warnings := admitted(t, ingress{}, main, asking(t, main, "web", &one), true)
	require.Empty(t, warnings)
	require.Equal(t, canonical(t, released(t, ingress{}, main, one)), canonical(t, first))
	other := ofWorkload(50)
	require.Equal(t, canonical(t, first), canonical(t, asking(t, first, "web", &other)), "its canary Ingress has the weight")

	put, _ := admitted(t, ingress{}, first, main, false)
	require.Equal(t, canonical(t, first), canonical(t, put), "a PUT of the chart's object")
	back, _ := admitted(t, ingress{}, first, asking(t, first, "web", nil), true)
	require.Equal(t, canonical(t, main), canonical(t, back))
	copied, warnings := admitted(t, ingress{}, nil, first, false)
	require.Equal(t, canonical(t, main), canonical(t, copied))
	require.Len(t, warnings, 1)
}

func TestACanaryIngressPassesAsItIs(t *testing.T) {
	split, err := ingress{}.Split(routeOf(t, fullIngress), ofWorkload(20))
	require.NoError(t, err)
	companion := split.Companion
	companion.SetLabels(map[string]string{ActiveLabel: "true"})
	changed := companion.DeepCopy()
	changed.SetAnnotations(nil)
	for _, stored := range []*unstructured.Unstructured{nil, companion} {
		got, _, err := Admitted(ingress{}, stored, companion, true)
		require.NoError(t, err)
		require.Equal(t, canonical(t, companion), canonical(t, got))
	}
	got, _, err := Admitted(ingress{}, companion, changed, false)
	require.NoError(t, err)
	require.Equal(t, canonical(t, changed), canonical(t, got))

	t.Run("a main Ingress does not become one", func(t *testing.T) {
		stored := released(t, ingress{}, routeOf(t, fullIngress), ofWorkload(20))
		asked := stored.DeepCopy()
		annotations := asked.GetAnnotations()
		annotations[nginx+"canary"] = "true"
		asked.SetAnnotations(annotations)
		got, warnings := admitted(t, ingress{}, stored, asked, false)
		require.Len(t, warnings, 1)
		require.Empty(t, Recorded(got))
		require.Equal(t, specOf(t, routeOf(t, fullIngress)), specOf(t, got))
	})
	t.Run("nor does a route of another kind", func(t *testing.T) {
		route := routeOf(t, httpRoute+"spec: {rules: [{backendRefs: [{name: web}]}]}")
		route.SetAnnotations(map[string]string{nginx + "canary": "true"})
		stored := released(t, gateway, route, ofWorkload(20))
		got, _ := admitted(t, gateway, stored, route, false)
		require.Equal(t, canonical(t, stored), canonical(t, got))
	})
}

func TestWhatCannotBeAskedFor(t *testing.T) {
	route := routeOf(t, virtualService)
	tests := map[string]struct {
		service string
		share   Share
		wantErr string
	}{
		"another Service":            {"api", share(20), "the share is one of Service web, not of api"},
		"no percentage":              {"web", share(101), "the weight 101 is not a percentage from 0 to 100"},
		"a workload that is no name": {"web", Share{Names: web, Workload: "web"}, `the workload "web" is not a kind and a name, like Deployment/web`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Ask(route, test.service, &test.share)
			require.EqualError(t, err, test.wantErr)
		})
	}
}

func TestMetadataThatCannotBeReadIsAnError(t *testing.T) {
	for name, metadata := range map[string]any{"metadata": "x", "annotations": map[string]any{"annotations": []any{}}, "labels": map[string]any{"labels": "x"}} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Admitted(istio, nil, &unstructured.Unstructured{Object: map[string]any{"metadata": metadata}}, false)
			require.ErrorContains(t, err, "is not an object")
		})
	}
}
