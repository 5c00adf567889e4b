package hashing

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const plainDigest = "v1:0badc0de:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestADigestSaysWhatIsPinned(t *testing.T) {
	tests := map[string]struct {
		digest string
		want   []string // nil: it is no pinned digest
		known  bool
	}{
		"a plain one":             {plainDigest, nil, true},
		"one object":              {plainDigest + ":configmap/web", []string{"configmap/web"}, true},
		"two objects":             {plainDigest + ":configmap/web,secret/db.creds", []string{"configmap/web", "secret/db.creds"}, true},
		"not sorted":              {plainDigest + ":secret/db,configmap/web", nil, false},
		"an object twice":         {plainDigest + ":secret/db,secret/db", nil, false},
		"nothing":                 {plainDigest + ":", nil, false},
		"an empty name":           {plainDigest + ":configmap/", nil, false},
		"another kind":            {plainDigest + ":pod/web", nil, false},
		"kind in capitals":        {plainDigest + ":ConfigMap/web", nil, false},
		"spaces":                  {plainDigest + ":configmap/web, secret/db", nil, false},
		"a comma at the end":      {plainDigest + ":configmap/web,", nil, false},
		"what stays live":         {plainDigest + ":configmap/kube-root-ca.crt", nil, false},
		"a fifth part":            {plainDigest + ":configmap/web:more", nil, false},
		"no digest before it":     {"v1:0badc0de:1234:configmap/web", nil, false},
		"a path instead of a key": {"v1:../..:0:configmap/web", nil, false},
		"nothing at all":          {"", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, Pinned(test.digest))
			require.Equal(t, test.known, isDigest(test.digest))
			if test.known {
				require.Equal(t, plainDigest, Plain(test.digest))
			}
		})
	}
}

func TestPin(t *testing.T) {
	refs := []Reference{
		allOf(Secret, "db"), allOf(ConfigMap, "web"), keysOf(ConfigMap, "web", "a"), optional(allOf(ConfigMap, "none")),
		allOf(ConfigMap, "kube-root-ca.crt"), allOf(Secret, "token"), allOf(Secret, "renewed"), allOf(ConfigMap, "No such name"),
	}
	token, renewed := secret("token", nil), secret("renewed", nil)
	token.Type, renewed.Ignored = "kubernetes.io/service-account-token", true
	objects := []Object{secret("db", nil), configMap("web", nil), token, renewed}
	want := plainDigest + ":configmap/none,configmap/web,secret/db"

	require.Equal(t, want, Pin(plainDigest, refs, objects))
	require.Equal(t, want, Pin(plainDigest+":configmap/other", refs, objects), "what was pinned before does not matter")
	require.Equal(t, plainDigest, Pin(want, nil, objects))
	require.Equal(t, plainDigest, Pin(plainDigest, []Reference{allOf(Secret, "renewed")}, objects), "nothing is left to pin")
	require.Empty(t, Pin("", refs, objects))
}

// A pinned digest is verified like any other, and stays with what it says.
func TestAPinnedDigestIsOneOfTheContent(t *testing.T) {
	refs := []Reference{allOf(ConfigMap, "web")}
	objects := []Object{configMap("web", values{"a": "1"})}
	pinned := Pin(digestOf(t, refs, objects...), refs, objects)
	keys := keyringOf(t, 1)

	same, err := keys.Digest(pinned, "shop", refs, objects)
	require.NoError(t, err)
	require.Equal(t, pinned, same)

	other, err := keys.Digest(pinned, "shop", refs, []Object{configMap("web", values{"a": "2"})})
	require.NoError(t, err)
	require.NotEqual(t, Plain(pinned), other)
	require.Empty(t, Pinned(other), "a new digest pins nothing by itself")

	_, err = keys.Digest(plainDigest+":secret/db", "shop", refs, objects)
	require.True(t, IsUnverifiable(err), "of another key")

	seen, err := keys.See("shop", refs, objects)
	require.NoError(t, err)
	require.True(t, seen.StandsFor(pinned, "any"), "what is seen never says what is pinned")
}

// The name of a snapshot is a function of its content, so a snapshot holds nothing but that.
func TestASnapshotHoldsWhatIsUsed(t *testing.T) {
	certificate := secret("tls", values{"tls.crt": "certificate", "tls.key": "key", "ca.crt": "ca"})
	certificate.Type = "kubernetes.io/tls"
	registry := secret("registry", values{".dockerconfigjson": "{}", "note": "x"})
	registry.Type = "kubernetes.io/dockerconfigjson"
	logo := configMap("logo", values{"name": "x", "unused": "y"})
	logo.BinaryData = map[string][]byte{"logo": {0xff}, "other": {1}}
	refs := []Reference{
		keysOf(Secret, "tls", "tls.crt"), keysOf(Secret, "registry", "note"), allOf(Secret, "db"),
		keysOf(ConfigMap, "logo", "logo", "name"), optional(allOf(ConfigMap, "none")),
	}
	objects := []Object{certificate, registry, logo, secret("db", values{"password": "hunter2"})}
	digest := Pin(plainDigest, refs, objects)
	const suffix = "-0123456789abcdef"

	got := map[string]Snapshot{}
	for _, s := range Snapshots(digest, refs, objects) {
		got[s.Of] = s
	}

	require.Len(t, got, 4)
	require.Equal(t, Snapshot{Of: "tls", Object: Object{Kind: Secret, Name: "tls" + suffix, Type: "kubernetes.io/tls",
		Data: byteValues(values{"tls.crt": "certificate", "tls.key": ""}), BinaryData: map[string][]byte{}}}, got["tls"],
		"a key that the type asks for is there without its content")
	require.Equal(t, byteValues(values{"note": "x", ".dockerconfigjson": "{}"}), got["registry"].Data)
	require.Equal(t, byteValues(values{"password": "hunter2"}), got["db"].Data)
	require.Equal(t, byteValues(values{"name": "x"}), got["logo"].Data)
	require.Equal(t, map[string][]byte{"logo": {0xff}}, got["logo"].BinaryData)
	require.ElementsMatch(t, []string{
		"configmap/logo" + suffix, "configmap/none" + suffix, "secret/db" + suffix, "secret/registry" + suffix, "secret/tls" + suffix,
	}, SnapshotsOf(digest))
	require.Empty(t, Snapshots(plainDigest, refs, objects), "nothing is pinned")

	raw, err := json.Marshal(got["db"])
	require.NoError(t, err)
	require.NotContains(t, string(raw), "hunter2")
}

func TestUnpinnable(t *testing.T) {
	longest := strings.Repeat("a", 236)
	require.Empty(t, Unpinnable(plainDigest))
	require.Empty(t, Unpinnable(plainDigest+":configmap/"+longest))
	require.Equal(t, "the name of configmap/"+longest+"a is too long: its snapshot's would have 254 characters, and a name may have 253: rename it",
		Unpinnable(plainDigest+":configmap/"+longest+"a"))
	var many []Reference
	for i := range 200 {
		many = append(many, allOf(ConfigMap, strings.Repeat("a", 200)+string(rune('a'+i%26))+strings.Repeat("b", i/26)))
	}
	require.Contains(t, Unpinnable(Pin(plainDigest, many, nil)), "bytes together, and 32768 can be pinned: refer to fewer")
}

func TestPinnedDigestsAreFoundWhereverTheyStand(t *testing.T) {
	pinned := plainDigest + ":configmap/web,secret/db"
	other := plainDigest[:len(plainDigest)-1] + "0:secret/db"
	state, err := json.Marshal(map[string]any{"stable": map[string]string{"digest": pinned}, "canary": map[string]string{"digest": other}})
	require.NoError(t, err)
	inAnnotation, err := json.Marshal(map[string]string{"sluice.dev/release": string(state)})
	require.NoError(t, err)
	for name, text := range map[string]string{"a record": string(state), "an annotation as JSON": string(inAnnotation), "text": pinned + " " + other} {
		found := PinnedDigests([]byte(text))
		require.ElementsMatch(t, []string{pinned, other}, found, name)
	}
	require.Empty(t, PinnedDigests([]byte(plainDigest)))
	require.Empty(t, PinnedDigests([]byte(plainDigest+":pod/web")))
}
