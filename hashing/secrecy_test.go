package hashing

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Acceptance 12: whoever sees the digest, and knows everything but the key, can't find a PIN with ten guesses.
func TestDigestOfAPINCannotBeGuessed(t *testing.T) {
	refs := []Reference{allOf(Secret, "bank")}
	pin := func(digit int) []Object { return []Object{secret("bank", values{"pin": fmt.Sprint(digit)})} }
	seen := digestOf(t, refs, pin(7)...)

	guessers := map[string]Keyring{
		"no key":                     {current: "00000000", keys: map[string]Key{"00000000": keyFrom([keySize]byte{})}},
		"the guesser's own key":      keyringOf(t, 9),
		"the key id as key":          {current: "00000000", keys: map[string]Key{"00000000": idAsKey(keyOf(t, 1))}},
		"the right key, wrong place": keyringOf(t, 1),
	}
	for guesser, keys := range guessers {
		namespace := "shop"
		if guesser == "the right key, wrong place" {
			namespace = "mine"
		}
		for digit := range 10 {
			guess, err := keys.Digest("", namespace, refs, pin(digit))
			require.NoError(t, err)
			require.NotEqual(t, sumOf(seen), sumOf(guess), "%s, %d", guesser, digit)
		}
	}
	for digit := range 10 {
		for _, plain := range []string{fmt.Sprint(digit), fmt.Sprintf("pin=%d", digit), fmt.Sprintf(`{"pin":"%d"}`, digit)} {
			unkeyed := sha256.Sum256([]byte(plain))
			require.NotEqual(t, hex.EncodeToString(unkeyed[:]), sumOf(seen))
		}
	}

	// The key finds it at once: it is the key alone that keeps the secret.
	require.Equal(t, seen, digestOf(t, refs, pin(7)...))
	require.NotEqual(t, seen, digestOf(t, refs, pin(8)...))
}

func sumOf(digest string) string { return digest[strings.LastIndex(digest, ":")+1:] }

func idAsKey(key Key) Key {
	var guess [keySize]byte
	copy(guess[:], key.ID())
	return keyFrom(guess)
}

func TestValuesAreNeverPrinted(t *testing.T) {
	const value = "hunter2hunter2"
	object := secret("db", values{"password": value})
	object.BinaryData = byteValues(values{"k": value})
	key := keyOf(t, 'K')
	keys := NewKeyring(key)
	leaks := []string{
		value, fmt.Sprint([]byte(value))[1:20], hex.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte(value)),
		strings.Repeat("K", 8), strings.Repeat("75 ", 8), strings.Repeat("4b", 8), strings.Repeat("0x4b, ", 8), "S0tLS0tL",
	}
	for _, thing := range []any{
		object, &object, []Object{object}, map[string]Object{"o": object}, struct{ O Object }{object},
		key, &key, keys, &keys, []Keyring{keys}, struct{ k Keyring }{keys}, struct{ k *Keyring }{&keys}, struct{ k Key }{key},
	} {
		var printed bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&printed, verb+"\n", thing)
		}
		marshalled, err := json.Marshal(thing)
		require.NoError(t, err)
		printed.Write(marshalled)
		for _, leak := range leaks {
			require.NotContains(t, printed.String(), leak, "%T", thing)
		}
	}
	require.Equal(t, `Secret "db"`, fmt.Sprint(object))
}
