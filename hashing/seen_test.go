package hashing

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func see(t *testing.T, refs []Reference, objects ...Object) Seen {
	t.Helper()
	seen, err := keyringOf(t, 1).See("shop", refs, objects)
	require.NoError(t, err)
	return seen
}

func manyKeys(n int) values {
	data := values{}
	for i := range n {
		data[fmt.Sprintf("key-%d", i)] = "value"
	}
	return data
}

func TestWhatWasSeenIsReadAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		annotations map[string]string
		want        Seen
	}{
		"no annotations":   {nil, Seen{}},
		"none":             {map[string]string{"a": "b"}, Seen{}},
		"empty":            {map[string]string{AnnotationConfigSeen: ""}, Seen{}},
		"null":             {map[string]string{AnnotationConfigSeen: "null"}, Seen{}},
		"no JSON":          {map[string]string{AnnotationConfigSeen: "{"}, Seen{}},
		"another type":     {map[string]string{AnnotationConfigSeen: `["a"]`}, Seen{}},
		"half of it wrong": {map[string]string{AnnotationConfigSeen: `{"digest":"d","streak":"many"}`}, Seen{}},
		"of a later sluice": {
			map[string]string{AnnotationConfigSeen: `{"digest":"d","another":{"field":1}}`}, Seen{Digest: "d"},
		},
		"all of it": {
			map[string]string{AnnotationConfigSeen: Seen{
				Digest: "d", Of: "o", Template: "t", At: &at, Streak: 3,
				Objects: map[string]map[string]string{"configmap/app": {"": "0", "color": "1"}},
				Changed: map[string][]string{"configmap/app": {"color"}, "secret/db": nil},
			}.Encode()},
			Seen{
				Digest: "d", Of: "o", Template: "t", At: &at, Streak: 3,
				Objects: map[string]map[string]string{"configmap/app": {"": "0", "color": "1"}},
				Changed: map[string][]string{"configmap/app": {"color"}, "secret/db": nil},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := DecodeSeen(test.annotations)
			require.Equal(t, test.want, got)
			require.Equal(t, got.Encode(), DecodeSeen(map[string]string{AnnotationConfigSeen: got.Encode()}).Encode(), "the same Seen, the same bytes")
		})
	}
}

func TestWhatATemplateWasReleasedWith(t *testing.T) {
	tests := map[string]struct {
		seen             Seen
		digest, template string
		want             bool
	}{
		"nothing was seen": {Seen{}, "", "", false},
		"nothing was seen of a template with a digest":    {Seen{}, "d", "t", false},
		"a baseline and its template":                     {Seen{Digest: "d", Template: "t"}, "", "t", true},
		"a baseline and another template":                 {Seen{Digest: "d", Template: "t"}, "", "u", false},
		"a baseline of no template":                       {Seen{Digest: "d"}, "", "t", false},
		"the template's own digest":                       {Seen{Digest: "d"}, "d", "t", true},
		"another digest":                                  {Seen{Digest: "d"}, "e", "t", false},
		"another digest that stands for it":               {Seen{Digest: "d", Of: "e"}, "e", "t", true},
		"a baseline of a template that has a digest now":  {Seen{Digest: "d", Template: "t"}, "e", "t", false},
		"a digest that stood for a template without one":  {Seen{Digest: "d", Of: "e"}, "", "t", false},
		"only what it stands for, and no digest of it":    {Seen{Of: "e"}, "e", "t", false},
		"a baseline without a digest is none":             {Seen{Template: "t"}, "", "t", false},
		"the digest of a baseline is that of the release": {Seen{Digest: "d", Template: "t"}, "d", "t", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, test.seen.StandsFor(test.digest, test.template))
		})
	}
}

func TestTheDifferenceNamesObjectsAndKeys(t *testing.T) {
	app, db := allOf(ConfigMap, "app"), allOf(Secret, "db")
	both := []Reference{app, db}
	color := func(value string) Object { return configMap("app", values{"color": value, "size": "1"}) }
	password := func(value string) Object { return secret("db", values{"password": value}) }
	tests := map[string]struct {
		before, now Seen
		want        map[string][]string
		wantCause   string
	}{
		"nothing": {see(t, both, color("red"), password("a")), see(t, both, color("red"), password("a")), map[string][]string{}, ""},
		"a value": {
			see(t, both, color("red"), password("a")), see(t, both, color("blue"), password("a")),
			map[string][]string{"configmap/app": {"color"}}, "configmap/app: color",
		},
		"values of two objects": {
			see(t, both, color("red"), password("a")), see(t, both, color("blue"), password("b")),
			map[string][]string{"configmap/app": {"color"}, "secret/db": {"password"}}, "configmap/app: color; secret/db: password",
		},
		"a key that comes and one that goes": {
			see(t, both, configMap("app", values{"a": "1", "b": "2"})), see(t, both, configMap("app", values{"b": "2", "c": "3"})),
			map[string][]string{"configmap/app": {"a", "c"}}, "configmap/app: a, c",
		},
		"a key that nobody uses": {
			see(t, []Reference{keysOf(ConfigMap, "app", "size")}, color("red")),
			see(t, []Reference{keysOf(ConfigMap, "app", "size")}, color("blue")), map[string][]string{}, "",
		},
		"an object that was deleted": {
			see(t, both, color("red"), password("a")), see(t, both, color("red")), map[string][]string{"secret/db": nil}, "secret/db",
		},
		"an object that is new": {
			see(t, both, color("red")), see(t, both, color("red"), password("a")), map[string][]string{"secret/db": nil}, "secret/db",
		},
		"the only object is new":    {see(t, both), see(t, both, password("a")), map[string][]string{"secret/db": nil}, "secret/db"},
		"the last object goes":      {see(t, both, password("a")), see(t, both), map[string][]string{"secret/db": nil}, "secret/db"},
		"an empty object gets keys": {see(t, both, configMap("app", nil)), see(t, both, color("red")), map[string][]string{"configmap/app": nil}, "configmap/app"},
		"an object with more keys than get sums": {
			see(t, both, configMap("app", manyKeys(mostKeys+1))), see(t, both, configMap("app", manyKeys(mostKeys+2))),
			map[string][]string{"configmap/app": nil}, "configmap/app",
		},
		"an object that grows past what gets sums": {
			see(t, both, configMap("app", manyKeys(mostKeys))), see(t, both, configMap("app", manyKeys(mostKeys+1))),
			map[string][]string{"configmap/app": nil}, "configmap/app",
		},
		"data becomes binaryData": {
			see(t, both, configMap("app", values{"a": "1", "b": "2"})),
			see(t, both, Object{Kind: ConfigMap, Name: "app", Data: byteValues(values{"b": "2"}), BinaryData: byteValues(values{"a": "1"})}),
			map[string][]string{"configmap/app": {"a"}}, "configmap/app: a",
		},
		"two objects swap their values": {
			see(t, []Reference{app, allOf(ConfigMap, "web")}, configMap("app", values{"a": "1"}), configMap("web", values{"a": "2"})),
			see(t, []Reference{app, allOf(ConfigMap, "web")}, configMap("app", values{"a": "2"}), configMap("web", values{"a": "1"})),
			map[string][]string{"configmap/app": {"a"}, "configmap/web": {"a"}}, "configmap/app: a; configmap/web: a",
		},
		"a ConfigMap and a Secret of the same name": {
			see(t, []Reference{app, allOf(Secret, "app")}, configMap("app", values{"a": "1"}), secret("app", values{"a": "1"})),
			see(t, []Reference{app, allOf(Secret, "app")}, configMap("app", values{"a": "1"}), secret("app", values{"a": "2"})),
			map[string][]string{"secret/app": {"a"}}, "secret/app: a",
		},
		"more keys than are told": {
			see(t, both, configMap("app", values{"x": "1"})), see(t, both, configMap("app", values{"x": "1", "a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": ""})),
			map[string][]string{"configmap/app": {"a", "b", "c", "d", "e", "f", "g"}}, "configmap/app: a, b, c, d, e, 2 more",
		},
		"an object that is ignored from now on": {
			see(t, both, color("red"), password("a")), see(t, both, color("red"), Object{Kind: Secret, Name: "db", Ignored: true, Data: byteValues(values{"password": "b"})}),
			map[string][]string{"secret/db": nil}, "secret/db",
		},
		"nobody saw it before": {Seen{}, see(t, both, color("red")), nil, ""},
		"sums that are no sums": {
			Seen{Digest: see(t, both).Digest, Objects: map[string]map[string]string{"configmap/app": nil}}, see(t, both, color("red")),
			map[string][]string{"configmap/app": nil}, "configmap/app",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changed := test.now.Difference(test.before)
			require.Equal(t, test.want, changed)
			test.now.Changed = changed
			require.Equal(t, test.wantCause, test.now.Cause())
			require.Empty(t, test.now.Difference(test.now))
		})
	}
}

func TestSumsOfAnotherKeyAreNotCompared(t *testing.T) {
	refs, object := []Reference{allOf(ConfigMap, "app")}, configMap("app", values{"color": "red"})
	before := see(t, refs, object)
	now, err := keyringOf(t, 2).See("shop", refs, []Object{object})
	require.NoError(t, err)
	require.Nil(t, now.Difference(before), "the same content under another key has other sums")
	require.Empty(t, now.Cause())
}

// Sums tell where a change is, and nothing of what is there.
func TestASumIsKeyedShortAndOfItsPlace(t *testing.T) {
	refs := []Reference{allOf(Secret, "a"), allOf(Secret, "b")}
	objects := []Object{secret("a", values{"pin": "7", "other": "7"}), secret("b", values{"pin": "7"})}
	seen := see(t, refs, objects...)
	other, err := keyringOf(t, 2).See("shop", refs, objects)
	require.NoError(t, err)
	elsewhere, err := keyringOf(t, 1).See("mine", refs, objects)
	require.NoError(t, err)

	sums := map[string]bool{}
	for object, of := range seen.Objects {
		for key, sum := range of {
			require.Len(t, sum, sumDigits)
			require.NotEqual(t, sum, other.Objects[object][key], "keyed")
			require.NotEqual(t, sum, elsewhere.Objects[object][key], "of its namespace")
			if key != "" {
				require.False(t, sums[sum], "equal values of other places are not seen to be equal")
				sums[sum] = true
			}
		}
	}
	require.Len(t, sums, 3)
	require.NotContains(t, seen.Encode(), seen.Digest[len(seen.Digest)-64:][:sumDigits]+`"`, "no sum is a piece of the digest")
}

func TestNoValueIsInWhatWasSeen(t *testing.T) {
	const value = "hunter2hunter2"
	objects := []Object{
		secret("db", values{"password": value}),
		{Kind: ConfigMap, Name: "app", BinaryData: byteValues(values{"blob": value})},
	}
	seen := see(t, []Reference{allOf(Secret, "db"), allOf(ConfigMap, "app")}, objects...)
	seen.Changed = seen.Difference(see(t, []Reference{allOf(Secret, "db"), allOf(ConfigMap, "app")}))
	for _, printed := range []string{seen.Encode(), fmt.Sprintf("%+v", seen), seen.Cause()} {
		require.NotContains(t, printed, value)
		require.NotContains(t, printed, "aHVudGVyMmh1bnRlcjI")
	}
}

// The annotation shares 256 KiB with those of others.
func TestWhatWasSeenStaysSmall(t *testing.T) {
	var refs []Reference
	var objects []Object
	for i := range 50 {
		name := fmt.Sprintf("app-%d", i)
		refs, objects = append(refs, allOf(ConfigMap, name)), append(objects, configMap(name, manyKeys(mostKeys)))
	}
	seen := see(t, refs, objects...)
	sums := 0
	for _, of := range seen.Objects {
		require.NotEmpty(t, of[""], "the whole has a sum however many keys there are")
		sums += len(of) - 1
	}
	require.Equal(t, mostSums, sums)
	require.Less(t, len(seen.Encode()), 32<<10)
}

func TestTheSameConfigIsSeenTheSame(t *testing.T) {
	refs := []Reference{allOf(ConfigMap, "app"), allOf(Secret, "db")}
	objects := []Object{configMap("app", manyKeys(40)), secret("db", manyKeys(40))}
	want := see(t, refs, objects...).Encode()
	for range 10 {
		require.Equal(t, want, see(t, []Reference{refs[1], refs[0]}, objects[1], objects[0]).Encode())
	}
	require.Equal(t, digestOf(t, refs, objects...), see(t, refs, objects...).Digest)
}

func FuzzDecodeSeen(f *testing.F) {
	for _, value := range []string{``, `null`, `{}`, `{"digest":"v1:00000000:ff","objects":{"a":null},"changed":{"a":null}}`, `{"objects":{"a":{"":""}},"at":"2026-03-01T12:00:00Z","streak":-1}`} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		seen := DecodeSeen(map[string]string{AnnotationConfigSeen: value})
		require.True(t, json.Valid([]byte(seen.Encode())))
		_, _ = seen.Cause(), seen.StandsFor("a", "b")
		require.Empty(t, seen.Difference(seen))
		_ = seen.Difference(Seen{Digest: seen.Digest})
	})
}
