package hashing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the bytes: no panic, no endless depth, and the quick look agrees with the parser.
func FuzzReferences(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"spec":null}`, `{"spec":{"volumes":[{"configMap":{"name":"a","items":[{"key":"k"}]}}]}}`,
		`{"spec":{"containers":[{"env":[{"valueFrom":{"secretKeyRef":{"name":"a","key":"b","optional":true}}}],"envFrom":[{"secretRef":{"name":"a"}}]}]}}`,
		`{"spec":{"volumes":[{"projected":{"sources":[{"secret":{"name":"a"}},{"configMap":{"name":"b","optional":true}}]}}]}}`,
		`{"spec":{"volumes":[{"\u0073ecret":{"secretName":"a"}}]}}`, `{"spec":{"volumes":[{"secret":{"secretName":"\ud800"}}]}}`,
		`{"spec":{"volumes":[{"secret":1}],"volumes":[{"secret":{"secretName":"a"}}]}}`, "{\"\xff\":\"configMap\"}",
		strings.Repeat(`{"spec":`, 12_000), strings.Repeat(`[`, 12_000) + `"secret"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, template []byte) {
		refs, err := References(json.RawMessage(template))
		if err != nil {
			require.Empty(t, refs)
			return
		}
		if parsed, err := parseReferences(template); err == nil {
			require.Equal(t, parsed, refs, "the quick look and the parser")
		}
		require.Equal(t, merge(refs), refs)
		for _, ref := range refs {
			require.NotEmpty(t, ref.Name)
			require.True(t, slices.IsSorted(ref.Keys) && slices.IsSorted(ref.Required))
			require.False(t, ref.Optional && len(ref.Required) > 0)
		}
	})
}

func FuzzParseDigest(f *testing.F) {
	f.Add("v1:0badc0de:" + strings.Repeat("ab", 32))
	f.Add("v1:0badc0de:" + strings.Repeat("ab", 32) + ":configmap/web,secret/db")
	f.Add("v1:0badc0de:" + strings.Repeat("ab", 32) + ":secret/db,configmap/web:")
	f.Add("v2:x")
	f.Add(":::")
	f.Fuzz(func(t *testing.T, digest string) {
		id, sum, err := parseDigest(digest)
		if err != nil {
			require.Less(t, len(err.Error()), 200, "a digest is text of anyone's, the error has a bound")
			return
		}
		spelled := formatDigest(id, sum)
		require.Equal(t, spelled, Plain(digest))
		if names := Pinned(digest); len(names) > 0 {
			spelled += ":" + strings.Join(names, ",")
			require.True(t, slices.IsSorted(names))
			require.Len(t, SnapshotsOf(digest), len(names))
		}
		require.Equal(t, digest, spelled)
	})
}
