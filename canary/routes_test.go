package canary

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseTraffic(t *testing.T) {
	const grammar = `; want auto, none, or a comma list of httproute/NAME, grpcroute/NAME, ingress/NAME, virtualservice/NAME, apisixroute/NAME, for example "httproute/web, ingress/shop"`
	tests := map[string]struct {
		value     string
		want      TrafficPolicy
		wantError string
	}{
		"what is found":          {value: "auto"},
		"nothing":                {value: " none ", want: TrafficPolicy{None: true}},
		"one":                    {value: "httproute/web", want: TrafficPolicy{Named: []RouteName{{"httproute", "web"}}}},
		"each kind":              {value: "grpcroute/a,ingress/b.c , virtualservice/d-e,apisixroute/f", want: TrafficPolicy{Named: []RouteName{{"grpcroute", "a"}, {"ingress", "b.c"}, {"virtualservice", "d-e"}, {"apisixroute", "f"}}}},
		"a name of two kinds":    {value: "httproute/web,ingress/web", want: TrafficPolicy{Named: []RouteName{{"httproute", "web"}, {"ingress", "web"}}}},
		"no value":               {value: "", wantError: `"": "": there is no "/" between kind and name`},
		"a trailing comma":       {value: "ingress/web,", wantError: `"ingress/web,": "": there is no "/" between kind and name`},
		"auto beside a route":    {value: "auto,ingress/web", wantError: `"auto,ingress/web": "auto": there is no "/" between kind and name`},
		"a kind in its own case": {value: "HTTPRoute/web", wantError: `"HTTPRoute/web": "HTTPRoute/web": its kind is none of a route`},
		"another kind":           {value: "service/web", wantError: `"service/web": "service/web": its kind is none of a route`},
		"no name":                {value: "ingress/", wantError: `"ingress/": "ingress/": its name is not that of an object`},
		"another namespace":      {value: "ingress/shop/web", wantError: `"ingress/shop/web": "ingress/shop/web": its name is not that of an object`},
		"the same twice":         {value: "ingress/web, ingress/web", wantError: `"ingress/web, ingress/web": "ingress/web": it is named twice`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTraffic(test.value)
			if test.wantError != "" {
				require.EqualError(t, err, test.wantError+grammar)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	require.Equal(t, "httproute/web", RouteName{"httproute", "web"}.String())
}

// Releases that were stored before there was such a policy read and write as they did.
func TestAPolicyWithoutTrafficIsWrittenAsBefore(t *testing.T) {
	raw, err := json.Marshal(Policy{Steps: "20%"})
	require.NoError(t, err)
	require.JSONEq(t, `{"steps":"20%","deadline":"0s"}`, string(raw))
}
