package certs

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStoredSurvivesTheSecret(t *testing.T) {
	ca, next, old := newCA(t, start), newCA(t, start), newCA(t, start)
	for name, stored := range map[string]Stored{
		"nothing":      {},
		"first CA":     {Signing: ca},
		"announcing":   {Signing: ca, Next: next, Announced: start},
		"retiring":     {Signing: next, Retired: Bundle{ca.Certificate, old.Certificate}, RetiredSince: start},
		"Secret found": {Next: next, Retired: Bundle{old.Certificate}, RetiredSince: start},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{"mine": []byte("kept"), nextCertificateKey: []byte("stale"), announcedKey: []byte("stale")}
			require.NoError(t, stored.write(data))
			got, err := parseStored(data)
			require.NoError(t, err)
			require.Equal(t, stored, got)
			require.Equal(t, "kept", string(data["mine"]))
		})
	}
}

func TestTimesAreNeverStoredEarlierThanTheyWere(t *testing.T) {
	require.Equal(t, "2026-01-02T03:04:06Z", string(formatTime(start.Add(time.Nanosecond))))
	require.Equal(t, "2026-01-02T03:04:05Z", string(formatTime(start)))
}

func TestMalformedSecretIsNamedByItsKey(t *testing.T) {
	good := map[string][]byte{}
	require.NoError(t, Stored{
		Signing: newCA(t, start), Next: newCA(t, start), Retired: Bundle{newCA(t, start).Certificate}, RetiredSince: start,
	}.write(good))
	leaf := issue(t, newCA(t, start), start)

	for name, tc := range map[string]struct {
		key   string
		value []byte
		want  string
	}{
		"certificate is not PEM":         {"ca.crt", []byte("hello"), "key ca.crt: it is not a PEM certificate"},
		"certificate is cut off":         {"ca.crt", good["ca.crt"][:200], "key ca.crt: it is not a PEM certificate"},
		"certificate is a key":           {"ca.crt", good["ca.key"], `key ca.crt: it holds a PEM block "PRIVATE KEY"`},
		"certificate is two":             {"ca.crt", bytes.Repeat(good["ca.crt"], 2), "key ca.crt: it is not exactly one CA certificate"},
		"certificate is a leaf":          {"ca.crt", Bundle{leaf.Leaf}.PEM(), "key ca.crt: it is not exactly one CA certificate"},
		"certificate is missing":         {"ca.crt", nil, "key ca.crt: it is not a PEM certificate"},
		"key is missing":                 {"ca.key", nil, "key ca.key: it is not a PEM private key"},
		"key is another's":               {"ca.key", good["next.key"], "key ca.key: it is not the private key of ca.crt"},
		"next key is broken":             {"next.key", []byte("-----"), "key next.key: it is not a PEM private key"},
		"retired is broken":              {"retired.crt", []byte("x"), "key retired.crt: it is not a PEM certificate"},
		"time is broken":                 {"next-announced", []byte("tomorrow"), "key next-announced: it is not a time"},
		"nobody knows since when it was": {"retired-since", nil, "key retired-since: it is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			data[tc.key] = tc.value
			_, err := parseStored(data)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "BEGIN")
		})
	}
}
