package hashing

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

type values = map[string]string

// keyOf returns the key whose bytes are all b.
func keyOf(t require.TestingT, b byte) Key {
	key, err := NewKey(bytes.NewReader(bytes.Repeat([]byte{b}, keySize)))
	require.NoError(t, err)
	return key
}

func keyringOf(t require.TestingT, b byte) Keyring { return NewKeyring(keyOf(t, b)) }

func configMap(name string, data values) Object {
	return Object{Kind: ConfigMap, Name: name, Data: byteValues(data)}
}

func secret(name string, data values) Object {
	return Object{Kind: Secret, Name: name, Data: byteValues(data)}
}

func byteValues(data values) map[string][]byte {
	converted := map[string][]byte{}
	for key, value := range data {
		converted[key] = []byte(value)
	}
	return converted
}

// allOf is a reference to all keys of an object, keysOf one to some.
func allOf(kind Kind, name string) Reference { return Reference{Kind: kind, Name: name} }

func keysOf(kind Kind, name string, keys ...string) Reference {
	return Reference{Kind: kind, Name: name, Keys: keys, Required: keys}
}

func optional(ref Reference) Reference {
	ref.Optional, ref.Required = true, nil
	return ref
}

func digestOf(t require.TestingT, refs []Reference, objects ...Object) string {
	digest, err := keyringOf(t, 1).Digest("", "shop", refs, objects)
	require.NoError(t, err)
	return digest
}

func referencesOf(t *testing.T, template string) []Reference {
	t.Helper()
	require.True(t, json.Valid([]byte(template)), "the test's own template")
	refs, err := References(json.RawMessage(template))
	require.NoError(t, err)
	return refs
}
