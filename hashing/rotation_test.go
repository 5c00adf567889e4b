package hashing

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNextRotation(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 500, time.UTC)
	at := now.Truncate(time.Second)
	since := func(ago time.Duration) *time.Time {
		then := now.Add(-ago)
		return &then
	}
	old, next := keyOf(t, 1).ID(), keyOf(t, 2).ID()
	one := keyringOf(t, 1)
	both := one.With(keyOf(t, 2))
	for sentence, test := range map[string]struct {
		asked  string
		stored Rotation
		keys   Keyring
		want   RotationStep
	}{
		"nobody asked":                       {"", Rotation{}, one, RotationStep{Action: Rest}},
		"the word was handled":               {"a", Rotation{Word: "a"}, both, RotationStep{Action: Rest, Store: Rotation{Word: "a"}}},
		"the word was taken off":             {"", Rotation{Word: "a"}, both, RotationStep{Action: Rest, Store: Rotation{Word: "a"}}},
		"the first word":                     {"a", Rotation{}, one, RotationStep{Action: Add, Store: Rotation{Word: "a"}}},
		"another word":                       {"b", Rotation{Word: "a"}, both, RotationStep{Action: Add, Store: Rotation{Word: "b"}}},
		"the next key was added":             {"a", Rotation{Word: "a", Next: next}, both, RotationStep{Action: Announce, Store: Rotation{Word: "a", Next: next, Since: &at}}},
		"it was noted a moment ago":          {"a", Rotation{Word: "a", Next: next, Since: since(0)}, both, RotationStep{Action: Wait, Store: Rotation{Word: "a", Next: next, Since: since(0)}, Wait: Propagation}},
		"just too short ago":                 {"a", Rotation{Word: "a", Next: next, Since: since(Propagation - 1)}, both, RotationStep{Action: Wait, Store: Rotation{Word: "a", Next: next, Since: since(Propagation - 1)}, Wait: 1}},
		"by a clock that is a bit ahead":     {"a", Rotation{Word: "a", Next: next, Since: since(-clockSkew)}, both, RotationStep{Action: Wait, Store: Rotation{Word: "a", Next: next, Since: since(-clockSkew)}, Wait: Propagation + clockSkew}},
		"by a clock that is wrong":           {"a", Rotation{Word: "a", Next: next, Since: since(-clockSkew - 1)}, both, RotationStep{Action: Announce, Store: Rotation{Word: "a", Next: next, Since: &at}}},
		"long enough ago":                    {"a", Rotation{Word: "a", Next: next, Since: since(Propagation)}, both, RotationStep{Action: Promote, Store: Rotation{Word: "a"}}},
		"the word changed meanwhile":         {"b", Rotation{Word: "a", Next: next, Since: since(Propagation)}, both, RotationStep{Action: Promote, Store: Rotation{Word: "a"}}},
		"the word was taken off meanwhile":   {"", Rotation{Word: "a", Next: next, Since: since(Propagation)}, both, RotationStep{Action: Promote, Store: Rotation{Word: "a"}}},
		"someone made it current":            {"a", Rotation{Word: "a", Next: next}, both.WithCurrent(next), RotationStep{Action: Promote, Store: Rotation{Word: "a"}}},
		"the next key was taken out":         {"a", Rotation{Word: "a", Next: next, Since: since(0)}, one, RotationStep{Action: Add, Store: Rotation{Word: "a"}}},
		"and nobody asks any more":           {"", Rotation{Word: "a", Next: next}, one, RotationStep{Action: Rest, Store: Rotation{Word: "a", Next: next}}},
		"the next one is current from start": {"a", Rotation{Word: "a", Next: old}, one, RotationStep{Action: Promote, Store: Rotation{Word: "a"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			require.Equal(t, test.want, NextRotation(test.asked, test.stored, test.keys, now))
		})
	}
}

func TestDecodeRotation(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for sentence, rotation := range map[string]Rotation{
		"handled": {Word: "a"}, "begun": {Word: `"`, Next: "0badc0de"}, "announced": {Word: "a", Next: "0badc0de", Since: &at},
	} {
		t.Run(sentence, func(t *testing.T) {
			decoded, err := DecodeRotation(map[string]string{AnnotationRotation: rotation.Encode()})
			require.NoError(t, err)
			require.Equal(t, rotation, decoded)
		})
	}
	none, err := DecodeRotation(nil)
	require.NoError(t, err)
	require.Zero(t, none)
	for _, value := range []string{"", "word", "[]", `{"word":1}`, `{"since":"soon"}`} {
		_, err := DecodeRotation(map[string]string{AnnotationRotation: value})
		require.EqualError(t, err, "annotation sluice.dev/rotation is not what sluice writes: remove it")
	}
}

// What changed is told across a rotation, for as long as the older key is known.
func TestDifferenceUnderAnotherKey(t *testing.T) {
	refs := []Reference{allOf(ConfigMap, "app")}
	before, err := keyringOf(t, 1).See("shop", refs, []Object{configMap("app", values{"a": "1", "b": "1"})})
	require.NoError(t, err)
	after := []Object{configMap("app", values{"a": "2", "b": "1"})}
	for sentence, test := range map[string]struct {
		keys Keyring
		want map[string][]string
	}{
		"the same key":  {keyringOf(t, 1), map[string][]string{"configmap/app": {"a"}}},
		"a rotated key": {keyringOf(t, 1).Rotated(keyOf(t, 2)), map[string][]string{"configmap/app": {"a"}}},
		"a lost key":    {keyringOf(t, 2), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			changed, err := test.keys.Difference(before, "shop", refs, after)
			require.NoError(t, err)
			require.Equal(t, test.want, changed)
		})
	}
}
