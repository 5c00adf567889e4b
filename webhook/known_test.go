package webhook

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

// Which digest stands for the content: one that is known, where it is known, and else a new one under the current key.
func TestTheDigestThatStandsForTheContent(t *testing.T) {
	const lost = "v1:00000000:" + "1111111111111111111111111111111111111111111111111111111111111111"
	const later = "v2:of a later sluice"
	const known, other, fresh = "known", "other", "fresh" // stand for what they say below
	type given struct {
		digest   string // of the old template
		seen     hashing.Seen
		release  *canary.Release
		newImage bool
	}
	stable := func(digest, config string) *canary.Release {
		return &canary.Release{ID: 4, Phase: canary.Waiting, Step: 1, Stable: canary.Revision{Digest: digest}, StableConfig: config, Canary: canary.Revision{Digest: other}}
	}
	tests := map[string]struct {
		given
		want string
	}{
		"nobody knows any":                         {given{}, fresh},
		"the template's own":                       {given{digest: known}, known},
		"the template's own, for another image":    {given{digest: known, newImage: true}, known},
		"the template's own was of other content":  {given{digest: other}, fresh},
		"a baseline":                               {given{seen: hashing.Seen{Digest: known, Template: "its"}}, ""},
		"a baseline of other content":              {given{seen: hashing.Seen{Digest: other, Template: "its"}}, fresh},
		"a baseline of another template":           {given{seen: hashing.Seen{Digest: known, Template: "another"}}, fresh},
		"a baseline, for another image":            {given{seen: hashing.Seen{Digest: known, Template: "its"}, newImage: true}, fresh},
		"a lost key":                               {given{digest: lost}, lost},
		"a lost key, for another image":            {given{digest: lost, newImage: true}, fresh},
		"a lost key, and what was seen since":      {given{digest: lost, seen: hashing.Seen{Digest: known, Of: lost}}, lost},
		"a lost key, and other content since":      {given{digest: lost, seen: hashing.Seen{Digest: other, Of: lost}}, fresh},
		"a lost key, seen of another digest":       {given{digest: lost, seen: hashing.Seen{Digest: other, Of: later}}, lost},
		"a later version":                          {given{digest: later}, later},
		"a later version, for another image":       {given{digest: later, newImage: true}, fresh},
		"no digest at all":                         {given{digest: "none"}, "none"},
		"the stable version's, again":              {given{digest: other, release: stable(known, "")}, known},
		"the stable version's baseline, again":     {given{digest: other, release: stable("", known)}, ""},
		"the stable version's lost one, seen":      {given{digest: other, release: stable(lost, known)}, lost},
		"neither the stable nor the canary's":      {given{digest: other, release: stable(other, "")}, fresh},
		"the stable baseline, for another image":   {given{digest: other, release: stable("", known), newImage: true}, fresh},
		"the stable version's own, another image":  {given{digest: other, release: stable(known, ""), newImage: true}, known},
		"only lost ones: canary and stable":        {given{digest: lost, release: stable(later, "")}, lost},
		"a lost one, and a stable one that is not": {given{digest: lost, release: stable(other, "")}, fresh},
	}
	for _, rotated := range []bool{false, true} {
		keys := hashing.NewKeyring(testKey(t, 7))
		if rotated {
			keys = keys.Rotated(testKey(t, 8))
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: live.SecretName}, Data: keys.Data()}
		reads := fake.NewClientBuilder().WithObjects(append(shopWithConfig("info"), secret)...).Build()
		ring, err := live.NewKeyring(live.Options{Reader: reads, Writer: reads, Namespace: "sluice-system", Random: strings.NewReader(""), Now: time.Now})
		require.NoError(t, err)
		o := observer{reader: reads, keyring: ring}
		raw := contractReview(t, "update-of-the-image-with-config").Request
		plain, err := canary.DecodeWorkload(raw.OldObject.Raw)
		require.NoError(t, err)
		hash, err := canary.HashTemplate(plain.Spec.Template)
		require.NoError(t, err)
		refs, err := hashing.References(plain.Spec.Template)
		require.NoError(t, err)
		objects, err := live.Read(t.Context(), reads, "shop", refs)
		require.NoError(t, err)
		current, err := keys.Digest("", "shop", refs, objects)
		require.NoError(t, err)
		meant := map[string]string{
			known: infoDigest, fresh: current, other: infoDigest[:len(infoDigest)-1] + "0", "its": hash,
		}
		mean := func(s string) string {
			if m, ok := meant[s]; ok {
				return m
			}
			return s
		}
		for name, test := range tests {
			t.Run(name+map[bool]string{true: ", after a rotation"}[rotated], func(t *testing.T) {
				old := withDigest(t, raw.OldObject.Raw, mean(test.digest))
				before, err := canary.DecodeWorkload(old)
				require.NoError(t, err)
				seen := test.seen
				seen.Digest, seen.Of, seen.Template = mean(seen.Digest), mean(seen.Of), mean(seen.Template)
				before.Metadata.Annotations[canary.ConfigSeenAnnotation] = seen.Encode()
				if test.release != nil {
					release := *test.release
					release.Stable = canary.Revision{Hash: hash, Digest: mean(release.Stable.Digest)}
					release.Canary = canary.Revision{Hash: hash, Digest: mean(test.digest)}
					release.StableConfig = mean(release.StableConfig)
					before.Metadata.Annotations[canary.ReleaseAnnotation] = release.Encode()
					before.Metadata.Labels[canary.ActiveLabel] = "true"
				}
				after := before
				if test.newImage {
					changed := *before
					changed.Spec.Template = []byte(strings.Replace(string(before.Spec.Template), "web:1.0", "web:2.0", 1))
					require.NotEqual(t, string(before.Spec.Template), string(changed.Spec.Template))
					after = &changed
				}
				review := canary.Review{Operation: canary.Update, Kind: canary.Deployment, Old: before, New: after}
				contents, err := canary.KnownConfig(review)
				require.NoError(t, err)
				got, _, err := o.knownDigest(t.Context(), "shop", refs, objects, review, contents)
				require.NoError(t, err)
				require.Equal(t, mean(test.want), got)
				again, _, err := o.knownDigest(t.Context(), "shop", refs, objects, review, contents)
				require.NoError(t, err)
				require.Equal(t, got, again)
			})
		}
	}
}

// testKey is the key whose bytes are all b.
func testKey(t testing.TB, b byte) hashing.Key {
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	require.NoError(t, err)
	return key
}
