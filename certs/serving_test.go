package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func servedByCertManager() Options {
	opts := options()
	opts.ServingSecret = "sluice-serving"
	return opts
}

// certManager is the Secret as cert-manager fills it.
func certManager(t *testing.T, ca *CA, now time.Time) *corev1.Secret {
	t.Helper()
	leaf := issue(t, ca, now)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	require.NoError(t, err)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sluice-serving"},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			"tls.crt": Bundle{leaf.Leaf}.PEM(),
			"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
			"ca.crt":  Bundle{ca.Certificate}.PEM(),
		},
	}
}

// renew overwrites the Secret, as cert-manager does in place.
func (c *cluster) renew(t *testing.T, data map[string][]byte) {
	t.Helper()
	secret := c.secret(t, "sluice-serving")
	secret.Data = data
	require.NoError(t, c.Update(t.Context(), secret))
}

func TestCertManagersLeafIsServed(t *testing.T) {
	ca := newCA(t, start)
	c := newCluster(mutating(nil), validating(nil), certManager(t, ca, start))
	a := c.replica(servedByCertManager())
	round(t, a)
	require.NoError(t, a.Ready())
	require.Equal(t, Observed{{ca.Certificate}, {ca.Certificate}}, c.bundles(t))
	require.Len(t, c.writes, 2)
	for range 5 {
		c.clock.advance(quick.Interval)
		round(t, a)
	}
	require.Len(t, c.writes, 2, "steady state")
}

func TestCertManagersNewCAIsTrustedBeforeItsLeafIsServed(t *testing.T) {
	old, next := newCA(t, start), newCA(t, start)
	c := newCluster(mutating(nil), validating(nil), certManager(t, old, start))
	a := c.replica(servedByCertManager())
	round(t, a)
	before := a.leaf.Load()

	c.renew(t, certManager(t, next, start).Data)
	require.Equal(t, quick.Propagation, round(t, a), "written, read back, and now propagating")
	both := Bundle{old.Certificate, next.Certificate}
	require.Equal(t, Observed{both, both}, c.bundles(t))
	require.Same(t, before, a.leaf.Load())

	c.clock.advance(quick.Propagation - time.Second)
	require.Equal(t, time.Second, round(t, a))
	require.Same(t, before, a.leaf.Load())
	c.clock.advance(time.Second)
	round(t, a)
	require.True(t, next.signed(a.leaf.Load().Leaf))
	require.NoError(t, a.Ready())
}

func TestCertManagersLeafOfAnUnknownCAReplacesOnlyABrokenOne(t *testing.T) {
	old, next := newCA(t, start), newCA(t, start)
	m, v := mutating(Bundle{old.Certificate}.PEM()), validating(Bundle{old.Certificate}.PEM())
	for _, o := range []client.Object{m, v} {
		o.SetAnnotations(map[string]string{"cert-manager.io/inject-ca-from": "sluice-system/sluice"})
	}
	c := newCluster(m, v, certManager(t, old, start))
	a := c.replica(servedByCertManager())
	round(t, a)
	c.renew(t, certManager(t, next, start).Data)
	round(t, a)
	require.True(t, old.signed(a.leaf.Load().Leaf), "the injector is not done")
	require.NoError(t, a.Ready())

	for _, o := range []client.Object{&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}} {
		name := map[bool]string{true: "sluice-mutating", false: "sluice-validating"}
		_, isMutating := o.(*admissionv1.MutatingWebhookConfiguration)
		require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: name[isMutating]}, o))
		switch o := o.(type) {
		case *admissionv1.MutatingWebhookConfiguration:
			o.Webhooks[0].ClientConfig.CABundle = Bundle{next.Certificate}.PEM()
		case *admissionv1.ValidatingWebhookConfiguration:
			o.Webhooks[0].ClientConfig.CABundle = Bundle{next.Certificate}.PEM()
		}
		require.NoError(t, c.Update(t.Context(), o))
	}
	writes := len(c.writes)
	round(t, a)
	require.True(t, next.signed(a.leaf.Load().Leaf), "the old leaf works no more: at once")
	require.NoError(t, a.Ready())
	require.Len(t, c.writes, writes)
}

func TestUnreadableServingSecretKeepsTheLeaf(t *testing.T) {
	ca := newCA(t, start)
	good, other := certManager(t, ca, start).Data, certManager(t, ca, start).Data
	foreign, err := ca.Issue([]string{"example.org"}, nil, start, quick)
	require.NoError(t, err)
	foreignKey, err := x509.MarshalPKCS8PrivateKey(foreign.PrivateKey)
	require.NoError(t, err)

	const where = "reading the serving certificate in Secret sluice-system/sluice-serving: key "
	for name, tc := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"empty as cert-manager makes it first": {map[string][]byte{}, where + "tls.crt: it is missing; `kubectl -n sluice-system delete secret sluice-serving` makes cert-manager issue it again"},
		"no key":                               {map[string][]byte{"tls.crt": good["tls.crt"]}, where + "tls.key: it is missing"},
		"key of another":                       {map[string][]byte{"tls.crt": good["tls.crt"], "tls.key": other["tls.key"], "ca.crt": good["ca.crt"]}, where + "tls.crt or tls.key: tls: private key does not match public key"},
		"cut off":                              {map[string][]byte{"tls.crt": good["tls.crt"][:99], "tls.key": good["tls.key"]}, where + "tls.crt or tls.key: tls: failed to find any PEM data"},
		"no CA":                                {map[string][]byte{"tls.crt": good["tls.crt"], "tls.key": good["tls.key"]}, where + "ca.crt: it is missing, so there is nothing to put into the caBundle"},
		"broken CA":                            {map[string][]byte{"tls.crt": good["tls.crt"], "tls.key": good["tls.key"], "ca.crt": []byte("x")}, where + "ca.crt: it is not a PEM certificate"},
		"other names": {map[string][]byte{
			"tls.crt": Bundle{foreign.Leaf}.PEM(), "ca.crt": good["ca.crt"],
			"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: foreignKey}),
		}, where + "tls.crt: the Certificate must name it: x509: certificate is valid for example.org, not sluice.sluice-system.svc"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(mutating(nil), validating(nil), certManager(t, ca, start))
			a := c.replica(servedByCertManager())
			round(t, a)
			leaf := a.leaf.Load()
			c.renew(t, tc.data)
			_, err := a.round(t.Context())
			require.ErrorContains(t, err, tc.want)
			require.False(t, bytes.Contains([]byte(err.Error()), []byte("BEGIN")))
			require.True(t, leaf.Leaf.Equal(a.leaf.Load().Leaf))
			require.NoError(t, a.Ready())
		})
	}
}

func TestMissingServingSecretSaysWhoShouldMakeIt(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(servedByCertManager())
	_, err := a.round(t.Context())
	require.ErrorContains(t, err, "reading the serving certificate in Secret sluice-system/sluice-serving, which cert-manager should keep")
	require.ErrorContains(t, a.Ready(), "there is no serving certificate yet: reading the serving certificate")
	require.Empty(t, c.writes)
}

func TestExpiredCAsOfCertManagerAreForgotten(t *testing.T) {
	old, present := newCA(t, start.Add(-89*day)), newCA(t, start)
	both := Bundle{old.Certificate, present.Certificate}
	c := newCluster(mutating(Bundle{old.Certificate}.PEM()), validating(nil), certManager(t, present, start))
	a := c.replica(servedByCertManager())
	round(t, a)
	require.Equal(t, Observed{both, both}, c.bundles(t))
	c.clock.advance(2 * day)
	round(t, a)
	require.Equal(t, Observed{both[1:], both[1:]}, c.bundles(t))
}

// A rolling update from one mode to the other has replicas of both.
func TestBothModesSideBySide(t *testing.T) {
	theirs := newCA(t, start)
	c := newCluster(mutating(nil), validating(nil), certManager(t, theirs, start))
	own, managed := c.replica(options()), c.replica(servedByCertManager())
	for range 4 {
		for _, a := range []*Authority{own, managed} {
			round(t, a)
			require.NoError(t, a.Ready())
		}
		c.clock.advance(time.Hour)
	}
	stored := c.stored(t)
	require.Equal(t, Bundle{theirs.Certificate}, stored.Retired)
	both := Bundle{stored.Signing.Certificate, theirs.Certificate}
	require.Equal(t, Observed{both, both}, c.bundles(t))
	require.Len(t, c.writes, 6, "create, two patches; two patches of the other, one adoption")
}
