package hashing

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A change of this digest restarts every workload of every user. The value was computed by another program from the
// encoding as the package describes it.
func TestDigestV1IsWhatItAlwaysWas(t *testing.T) {
	refs := []Reference{allOf(ConfigMap, "app"), keysOf(Secret, "db", "password", "user"), optional(allOf(Secret, "none"))}
	digest := digestOf(t, refs,
		secret("db", values{"password": "hunter2", "unused": "x"}),
		Object{Kind: ConfigMap, Name: "app", Data: byteValues(values{"url": "http://a", "b": ""}),
			BinaryData: map[string][]byte{"logo": {0, 1, 0xff}}},
	)
	require.Equal(t, "v1:21e50a08:72a1636c83f1c8da91c8ee961cda4e7db7b5a0f5a42ddd7a7f12df04bd2bff8e", digest)
}

func TestDigestsThatDiffer(t *testing.T) {
	app := []Reference{optional(allOf(ConfigMap, "app"))}
	for sentence, test := range map[string]struct {
		refs []Reference
		a, b []Object
	}{
		// Acceptance 6.
		"an optional object that is absent, and one that is empty": {
			app, nil, []Object{configMap("app", nil)},
		},
		"a key that is absent, and one that is empty": {
			app, []Object{configMap("app", nil)}, []Object{configMap("app", values{"a": ""})},
		},
		"the one and the other of two optional objects absent": {
			[]Reference{optional(allOf(ConfigMap, "a")), optional(allOf(ConfigMap, "b"))},
			[]Object{configMap("a", nil)}, []Object{configMap("b", nil)},
		},
		// Acceptance 7.
		"one key that looks like two": {
			app, []Object{configMap("app", values{"a": "1;b=2"})}, []Object{configMap("app", values{"a": "1", "b": "2"})},
		},
		"a key and a value with another boundary": {
			app, []Object{configMap("app", values{"ab": "c"})}, []Object{configMap("app", values{"a": "bc"})},
		},
		"two values swapped": {
			app, []Object{configMap("app", values{"a": "1", "b": "2"})}, []Object{configMap("app", values{"a": "2", "b": "1"})},
		},
		"data and binaryData of the same bytes": {
			app, []Object{configMap("app", values{"a": "1"})},
			[]Object{{Kind: ConfigMap, Name: "app", BinaryData: byteValues(values{"a": "1"})}},
		},
		"a ConfigMap and a Secret of the same content": {
			[]Reference{optional(allOf(ConfigMap, "app")), optional(allOf(Secret, "app"))},
			[]Object{configMap("app", values{"a": "1"})}, []Object{secret("app", values{"a": "1"})},
		},
		"an entry of this object or of the next": {
			[]Reference{allOf(ConfigMap, "a"), allOf(ConfigMap, "b")},
			[]Object{configMap("a", values{"k": "1"}), configMap("b", nil)},
			[]Object{configMap("a", nil), configMap("b", values{"k": "1"})},
		},
		// Acceptance 9.
		"a used value in data": {
			[]Reference{keysOf(ConfigMap, "app", "a")},
			[]Object{configMap("app", values{"a": "1"})}, []Object{configMap("app", values{"a": "2"})},
		},
		"a used value in binaryData": {
			app,
			[]Object{{Kind: ConfigMap, Name: "app", BinaryData: map[string][]byte{"a": {0}}}},
			[]Object{{Kind: ConfigMap, Name: "app", BinaryData: map[string][]byte{"a": {1}}}},
		},
		"a used value in a Secret": {
			[]Reference{allOf(Secret, "db")},
			[]Object{secret("db", values{"a": "1"})}, []Object{secret("db", values{"a": "2"})},
		},
		"a used key that is removed": {
			[]Reference{keysOf(Secret, "db", "a", "b")},
			[]Object{secret("db", values{"a": "1", "b": "1"})}, []Object{secret("db", values{"a": "1"})},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			require.NotEqual(t, digestOf(t, test.refs, test.a...), digestOf(t, test.refs, test.b...))
		})
	}
}

func TestDigestsThatAreTheSame(t *testing.T) {
	some := []Reference{keysOf(ConfigMap, "app", "a")}
	for sentence, test := range map[string]struct {
		refs []Reference
		a, b []Object
	}{
		// Acceptance 9; that labels, annotations, resourceVersion and immutable don't count is tested in live.
		"an unused key changes": {
			some, []Object{configMap("app", values{"a": "1", "b": "1"})}, []Object{configMap("app", values{"a": "1", "b": "2"})},
		},
		"an unused key appears in binaryData": {
			some, []Object{configMap("app", values{"a": "1"})},
			[]Object{{Kind: ConfigMap, Name: "app", Data: byteValues(values{"a": "1"}), BinaryData: byteValues(values{"b": "1"})}},
		},
		"an object that nothing refers to": {
			some, []Object{configMap("app", values{"a": "1"})},
			[]Object{secret("app", values{"a": "2"}), configMap("app", values{"a": "1"}), configMap("b", values{"a": "3"})},
		},
		"objects in another order": {
			[]Reference{allOf(ConfigMap, "a"), allOf(Secret, "b")},
			[]Object{configMap("a", values{"k": "1"}), secret("b", nil)}, []Object{secret("b", nil), configMap("a", values{"k": "1"})},
		},
		"nil and empty data": {
			some, []Object{configMap("app", nil)}, []Object{{Kind: ConfigMap, Name: "app"}},
		},
		"nil and empty values": {
			some, []Object{configMap("app", values{"a": ""})}, []Object{{Kind: ConfigMap, Name: "app", Data: map[string][]byte{"a": nil}}},
		},
		"an ignored object that changes": {
			[]Reference{allOf(Secret, "tls"), allOf(ConfigMap, "app")},
			[]Object{{Kind: Secret, Name: "tls", Ignored: true, Data: byteValues(values{"crt": "1"})}},
			[]Object{{Kind: Secret, Name: "tls", Ignored: true, Data: byteValues(values{"crt": "2"})}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			require.Equal(t, digestOf(t, test.refs, test.a...), digestOf(t, test.refs, test.b...))
		})
	}
}

// Acceptance 7.
func TestDigestsOfTwoNamespacesAreIndependent(t *testing.T) {
	refs, objects := []Reference{allOf(ConfigMap, "app")}, []Object{configMap("app", values{"a": "1"})}
	keys := keyringOf(t, 1)
	shop, err := keys.Digest("", "shop", refs, objects)
	require.NoError(t, err)
	bank, err := keys.Digest("", "bank", refs, objects)
	require.NoError(t, err)
	require.NotEqual(t, shop, bank)
	again, err := keys.Digest(shop, "bank", refs, objects)
	require.NoError(t, err)
	require.Equal(t, bank, again, "the digest of another namespace is not accepted")
}

func TestDigestOfNothing(t *testing.T) {
	digest, err := keyringOf(t, 1).Digest("v2:later:digest", "shop", nil, nil)
	require.NoError(t, err)
	require.Empty(t, digest, "a template without references needs no annotation")

	digest, err = keyringOf(t, 1).Digest("", "shop", []Reference{optional(allOf(Secret, "none"))}, nil)
	require.NoError(t, err)
	require.NotEmpty(t, digest, "a template with references always has one")
}

// Acceptance 11.
func TestDigestFollowsThePreviousOne(t *testing.T) {
	refs := []Reference{allOf(Secret, "tls"), allOf(ConfigMap, "app")}
	plain := []Object{configMap("app", values{"a": "1"}), secret("tls", values{"crt": "1"})}
	changed := []Object{configMap("app", values{"a": "2"}), secret("tls", values{"crt": "1"})}
	renewed := secret("tls", values{"crt": "2"})
	renewed.Ignored = true
	ignored := secret("tls", values{"crt": "1"})
	ignored.Ignored = true

	old := keyringOf(t, 1)
	rotated := old.Rotated(keyOf(t, 2))
	digest := func(keys Keyring, previous string, objects []Object) string {
		t.Helper()
		digest, err := keys.Digest(previous, "shop", refs, objects)
		require.NoError(t, err)
		return digest
	}
	first := digest(old, "", plain)
	fresh := digest(rotated, "", changed)

	for sentence, test := range map[string]struct {
		keys     Keyring
		previous string
		objects  []Object
		want     string
	}{
		"nothing happened: the same":                                     {old, first, plain, first},
		"content changed: another, under the same key":                   {old, first, changed, digest(old, "", changed)},
		"key rotated, content unchanged: the same":                       {rotated, first, plain, first},
		"key rotated, content changed: another, under the new key":       {rotated, first, changed, fresh},
		"key rotated, and rotated again: the same":                       {rotated.Rotated(keyOf(t, 3)), first, plain, first},
		"key rotated back: the digest under the newer key stays":         {rotated.Rotated(keyOf(t, 1)), fresh, changed, fresh},
		"a Secret is marked as ignored: the same":                        {old, first, []Object{plain[0], ignored}, first},
		"an ignored Secret was renewed since: the same":                  {old, digest(old, "", []Object{plain[0], ignored}), []Object{plain[0], renewed}, digest(old, "", []Object{plain[0], ignored})},
		"a Secret is marked as ignored, something else changed: another": {old, first, []Object{changed[0], ignored}, digest(old, "", []Object{changed[0], renewed})},
	} {
		t.Run(sentence, func(t *testing.T) {
			require.Equal(t, test.want, digest(test.keys, test.previous, test.objects))
		})
	}
	require.NotEqual(t, first, fresh)
	require.True(t, strings.HasPrefix(fresh, "v1:"+keyOf(t, 2).ID()+":"))
}

// Acceptance 11: the caller is told, and keeps the digest while nothing has changed.
func TestDigestThatCannotBeVerified(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	id := keyOf(t, 1).ID()
	for sentence, test := range map[string]struct {
		previous  string
		wantKeyID string
		wantError string
	}{
		"a lost key":               {"v1:0badc0de:" + sum, "0badc0de", "its key 0badc0de is not known"},
		"a later version":          {"v2:" + id + ":" + sum, "", "its version v2 is not known"},
		"a later version's form":   {"v12:anything", "", "its version v12 is not known"},
		"not ours":                 {"5f4dcc3b5aa765d61d8327deb882cf99", "", "not of the form v1:KEY-ID:HEX"},
		"upper case":               {"v1:" + id + ":" + strings.ToUpper(sum), "", "not of the form"},
		"an upper-case id":         {"v1:0BADC0DE:" + sum, "", "not of the form"},
		"too short":                {"v1:" + id + ":" + sum[2:], "", "not of the form"},
		"too long":                 {"v1:" + id + ":" + sum + "ab", "", "not of the form"},
		"a space after it":         {"v1:" + id + ":" + sum + " ", "", "not of the form"},
		"a fourth part":            {"v1:" + id + ":" + sum + ":", "", "not of the form"},
		"no digits":                {"v1:" + id, "", "not of the form"},
		"no id":                    {"v1::" + sum, "", "not of the form"},
		"an id that is a sentence": {"v1:not a key:" + sum, "", "not of the form"},
		"only a version":           {"v2", "", "not of the form"},
	} {
		t.Run(sentence, func(t *testing.T) {
			digest, err := keyringOf(t, 1).Digest(test.previous, "shop", []Reference{allOf(ConfigMap, "app")}, nil)
			require.Empty(t, digest)
			var unverifiable *UnverifiableError
			require.True(t, errors.As(err, &unverifiable))
			require.Equal(t, test.wantKeyID, unverifiable.KeyID)
			require.ErrorContains(t, err, test.wantError)
		})
	}
}

func TestDigestOfWrongInput(t *testing.T) {
	refs := []Reference{allOf(ConfigMap, "app")}
	_, err := keyringOf(t, 1).Digest("", "shop", refs, []Object{configMap("app", nil), configMap("app", nil)})
	require.EqualError(t, err, "hashing config of namespace shop: an object was passed twice")
	_, err = Keyring{}.Digest("", "shop", refs, nil)
	require.EqualError(t, err, "hashing config: the keyring has no current key")
}
