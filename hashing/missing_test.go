package hashing

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissing(t *testing.T) {
	ignored := secret("tls", nil)
	ignored.Ignored = true
	for sentence, test := range map[string]struct {
		refs          []Reference
		objects       []Object
		want          []Absence
		wantSentences []string
	}{
		"a required object": {
			[]Reference{allOf(ConfigMap, "app")}, nil,
			[]Absence{{Kind: ConfigMap, Name: "app", Object: true}},
			[]string{`configmap "app" is required by the pod template and does not exist: its pods wait until it does`},
		},
		"a required object of which one key is used": {
			[]Reference{keysOf(Secret, "db", "password")}, []Object{configMap("db", values{"password": "1"})},
			[]Absence{{Kind: Secret, Name: "db", Object: true, Keys: []string{"password"}}},
			[]string{`secret "db" (key "password") is required by the pod template and does not exist: its pods wait until it does`},
		},
		"a required key of an object that exists": {
			[]Reference{keysOf(Secret, "db", "a", "x")}, []Object{secret("db", values{"a": ""})},
			[]Absence{{Kind: Secret, Name: "db", Keys: []string{"x"}}},
			[]string{`key "x" of secret "db" is required by the pod template and does not exist: its pods wait until it does`},
		},
		"more keys than a warning has room for": {
			[]Reference{keysOf(ConfigMap, "app", "a", "b", "c", "d", "e")}, []Object{configMap("app", nil)},
			[]Absence{{Kind: ConfigMap, Name: "app", Keys: []string{"a", "b", "c", "d", "e"}}},
			[]string{`keys "a", "b", "c" and 2 more of configmap "app" are required by the pod template and do not exist: its pods wait until they do`},
		},
		"a required key beside all keys": {
			[]Reference{{Kind: ConfigMap, Name: "app", Required: []string{"x"}}}, []Object{configMap("app", values{"a": "1"})},
			[]Absence{{Kind: ConfigMap, Name: "app", Keys: []string{"x"}}},
			[]string{`key "x" of configmap "app" is required by the pod template and does not exist: its pods wait until it does`},
		},
		"a key of an ignored object": {
			[]Reference{keysOf(Secret, "tls", "crt")}, []Object{ignored},
			[]Absence{{Kind: Secret, Name: "tls", Keys: []string{"crt"}}},
			[]string{`key "crt" of secret "tls" is required by the pod template and does not exist: its pods wait until it does`},
		},
		"several objects, sorted": {
			[]Reference{allOf(Secret, "b"), allOf(ConfigMap, "z"), allOf(Secret, "a")}, nil,
			[]Absence{{Kind: ConfigMap, Name: "z", Object: true}, {Kind: Secret, Name: "a", Object: true}, {Kind: Secret, Name: "b", Object: true}},
			nil,
		},
		"nothing, for an optional object":                    {[]Reference{optional(keysOf(Secret, "db", "x"))}, nil, nil, nil},
		"nothing, for an optional key":                       {[]Reference{{Kind: Secret, Name: "db", Keys: []string{"x"}}}, []Object{secret("db", nil)}, nil, nil},
		"nothing, for an optional key of an optional object": {[]Reference{optional(keysOf(Secret, "db", "x"))}, []Object{secret("db", nil)}, nil, nil},
		"nothing, for a key in binaryData": {
			[]Reference{keysOf(ConfigMap, "app", "x")},
			[]Object{{Kind: ConfigMap, Name: "app", BinaryData: map[string][]byte{"x": {0}}}}, nil, nil,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			missing := Missing(test.refs, test.objects)
			require.Equal(t, test.want, missing)
			for i, want := range test.wantSentences {
				require.Equal(t, want, missing[i].String())
			}
		})
	}
}

func TestMissingNamesAreQuoted(t *testing.T) {
	sentence := Absence{Kind: Secret, Name: "a\nb\"", Object: true}.String()
	require.False(t, strings.ContainsAny(sentence, "\n\r"), sentence)
}
