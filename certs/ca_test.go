package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLeafIsVerifiedByItsCAOnly(t *testing.T) {
	ca, other := newCA(t, start), newCA(t, start)
	leaf := issue(t, ca, start)
	require.NoError(t, Bundle{other.Certificate, ca.Certificate}.verify(leaf.Leaf, nil, start))
	require.Error(t, Bundle{other.Certificate}.verify(leaf.Leaf, nil, start))
	require.Error(t, Bundle{}.verify(leaf.Leaf, nil, start))
	require.True(t, ca.signed(leaf.Leaf))
	require.False(t, other.signed(leaf.Leaf))
}

func TestLeafHasAlternativeNamesOnly(t *testing.T) {
	leaf, err := newCA(t, start).Issue([]string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}, start, quick)
	require.NoError(t, err)
	require.Empty(t, leaf.Leaf.Subject.String())
	require.NoError(t, leaf.Leaf.VerifyHostname("localhost"))
	require.NoError(t, leaf.Leaf.VerifyHostname("127.0.0.1"))
	require.Error(t, leaf.Leaf.VerifyHostname("sluice.sluice-system.svc"))
	require.Equal(t, elliptic.P256(), leaf.Leaf.PublicKey.(*ecdsa.PublicKey).Curve)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.Leaf.ExtKeyUsage)
	require.False(t, leaf.Leaf.IsCA)
}

func TestLeafLife(t *testing.T) {
	ca := newCA(t, start)
	for name, tc := range map[string]struct {
		readAt            time.Time
		wantFrom, wantEnd time.Time
	}{
		"counted from the read of the CA":  {readAt: start.Add(day), wantFrom: start.Add(day - backdated), wantEnd: start.Add(7 * day)},
		"never from before the CA":         {readAt: start.Add(-time.Minute), wantFrom: start.Add(-backdated), wantEnd: start.Add(6*day - time.Minute)},
		"never beyond the end of its CA":   {readAt: start.Add(88 * day), wantFrom: start.Add(88*day - backdated), wantEnd: start.Add(90 * day)},
		"valid on a clock that is behind":  {readAt: start.Add(day), wantFrom: start.Add(day - time.Hour), wantEnd: start.Add(7 * day)},
		"whole life where the CA has time": {readAt: start.Add(84 * day), wantFrom: start.Add(84*day - backdated), wantEnd: start.Add(90 * day)},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := issue(t, ca, tc.readAt).Leaf
			require.Equal(t, tc.wantEnd, leaf.NotAfter)
			if tc.readAt.Before(start) {
				tc.wantFrom = ca.Certificate.NotBefore
			}
			require.Equal(t, tc.wantFrom, leaf.NotBefore)
		})
	}
	require.Equal(t, start.Add(60*day), renewAt(ca.Certificate))
}

func TestBundleTakesWhatCanBeRead(t *testing.T) {
	ca, other := newCA(t, start).Certificate, newCA(t, start).Certificate
	one, both := Bundle{ca}.PEM(), Bundle{ca, other}.PEM()
	for name, tc := range map[string]struct {
		data []byte
		want Bundle
	}{
		"nothing":                    {nil, nil},
		"a placeholder of a chart":   {[]byte("\n"), nil},
		"one":                        {one, Bundle{ca}},
		"a comment before it":        {append([]byte("# my CA\n"), one...), Bundle{ca}},
		"twice the same":             {append(one, one...), Bundle{ca}},
		"two":                        {both, Bundle{ca, other}},
		"garbage between the blocks": {append([]byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), both...), Bundle{ca, other}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, readBundle(tc.data)) })
	}
	require.True(t, Bundle{ca, other}.equal(Bundle{other, ca}))
	require.False(t, Bundle{ca, other}.equal(Bundle{ca}))
	require.False(t, Bundle{}.equal(Bundle{ca}))
}
