package hashing

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseExtra(t *testing.T) {
	tests := map[string]struct {
		value     string
		want      []Reference
		wantError string
	}{
		"one":                {value: "configmap/flags", want: []Reference{{Kind: ConfigMap, Name: "flags", Optional: true}}},
		"two, with spaces":   {value: " secret/license , configmap/flags.v2 ", want: []Reference{{Kind: ConfigMap, Name: "flags.v2", Optional: true}, {Kind: Secret, Name: "license", Optional: true}}},
		"one of them twice":  {value: "secret/a,secret/a", want: []Reference{{Kind: Secret, Name: "a", Optional: true}}},
		"nothing":            {value: "", wantError: `"": it is neither configmap/NAME nor secret/NAME; want a comma list`},
		"a trailing comma":   {value: "secret/a,", wantError: `"": it is neither configmap/NAME nor secret/NAME`},
		"another kind":       {value: "deployment/web", wantError: `"deployment/web": it is neither`},
		"kinds as in Go":     {value: "ConfigMap/flags", wantError: `"ConfigMap/flags": it is neither`},
		"no name":            {value: "secret/", wantError: `"secret/": a lowercase RFC 1123 subdomain`},
		"another namespace":  {value: "secret/other/a", wantError: `"secret/other/a": a lowercase RFC 1123 subdomain`},
		"a name in capitals": {value: "secret/A", wantError: `"secret/A": a lowercase RFC 1123 subdomain`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseExtra(test.value)
			if test.wantError != "" {
				require.ErrorContains(t, err, test.wantError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestJoin(t *testing.T) {
	refs := []Reference{{Kind: ConfigMap, Name: "a", Keys: []string{"k"}, Required: []string{"k"}}}
	require.Equal(t, refs, Join(refs, nil))
	extra := []Reference{{Kind: ConfigMap, Name: "a", Optional: true}, {Kind: Secret, Name: "b", Optional: true}}
	require.Equal(t, []Reference{
		{Kind: ConfigMap, Name: "a", Required: []string{"k"}}, // all keys count, and pods wait for k as before
		{Kind: Secret, Name: "b", Optional: true},
	}, Join(refs, extra))
	require.Equal(t, extra, Join(nil, extra))
}
