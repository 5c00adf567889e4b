package hashing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestParseKeyringIsTheInverseOfData(t *testing.T) {
	one := keyringOf(t, 1)
	two := one.Rotated(keyOf(t, 2))
	for sentence, keys := range map[string]Keyring{
		"one key": one, "a rotated key": two, "rotated back": two.Rotated(keyOf(t, 1)),
		"rotated from nothing": Keyring{}.Rotated(keyOf(t, 4)),
	} {
		t.Run(sentence, func(t *testing.T) {
			parsed, err := ParseKeyring(keys.Data())
			require.NoError(t, err)
			require.Equal(t, keys.Data(), parsed.Data())
		})
	}
	require.True(t, two.Has(one.Current()))
	require.False(t, one.Has(two.Current()))
}

func TestParseKeyringNamesTheMalformedEntry(t *testing.T) {
	good := keyringOf(t, 1).Data()
	id, other := keyOf(t, 1).ID(), keyOf(t, 2).ID()
	with := func(key, value string) map[string][]byte {
		data := maps.Clone(good)
		data[key] = []byte(value)
		return data
	}
	for sentence, test := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"nothing":           {nil, `entry "current" is missing`},
		"no current key":    {map[string][]byte{id: good[id]}, `entry "current" is missing`},
		"an unknown one":    {with("current", "0badc0de"), `entry "current" does not name a valid key of this Secret`},
		"a newline after":   {with("current", id+"\n"), `entry "current" does not name a valid key of this Secret`},
		"a short key":       {with(other, "short"), `entry "` + other + `" must be a key of 32 bytes, has 5`},
		"base64 of a key":   {with(other, hex.EncodeToString(good[id])), `entry "` + other + `" must be a key of 32 bytes, has 64`},
		"a key not its own": {with(other, string(good[id])), `entry "` + other + `" holds the key with the id ` + id + `: an entry is named after its key`},
		"two faults":        {map[string][]byte{"a": {1}}, "entry \"a\" must be a key of 32 bytes, has 1\nentry \"current\" is missing"},
	} {
		t.Run(sentence, func(t *testing.T) {
			keys, err := ParseKeyring(test.data)
			require.EqualError(t, err, "parsing hash keys: "+test.want)
			require.Equal(t, Keyring{}, keys)
		})
	}
}

func TestParseKeyringDoesNotShareMemory(t *testing.T) {
	data := keyringOf(t, 1).Data()
	keys, err := ParseKeyring(data)
	require.NoError(t, err)
	clear(data[keys.Current()])
	clear(keys.Data()[keys.Current()])
	require.Equal(t, keyringOf(t, 1).Data(), keys.Data())
}

func TestNewKeyNeedsAllItsRandomness(t *testing.T) {
	_, err := NewKey(bytes.NewReader(make([]byte, keySize-1)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	broken := errors.New("broken")
	_, err = NewKey(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}
