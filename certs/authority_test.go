package certs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestFirstRoundInstalls(t *testing.T) {
	c := newCluster(mutating(nil, []byte("\n")), validating(nil))
	a := c.replica(options())
	require.ErrorContains(t, a.Ready(), "there is no serving certificate yet")
	_, err := a.GetCertificate(nil)
	require.ErrorContains(t, err, "there is no serving certificate yet")

	round(t, a)
	require.NoError(t, a.Ready())
	ca := c.stored(t).Signing.Certificate
	require.Equal(t, Observed{{ca}, {ca}, {ca}}, c.bundles(t))
	require.Equal(t, []string{"create sluice-ca", "patch sluice-mutating", "patch sluice-validating"}, c.writes)
}

func TestSteadyStateWritesNothing(t *testing.T) {
	c := newCluster(mutating(nil, nil), validating(nil))
	replicas := []*Authority{c.replica(options()), c.replica(options())}
	for _, a := range replicas {
		round(t, a)
	}
	before := len(c.writes)
	for range 80 { // 40 days: six leaves, no rotation
		c.clock.advance(quick.Interval)
		for _, a := range replicas {
			require.LessOrEqual(t, round(t, a), quick.Interval)
			require.NoError(t, a.Ready())
		}
	}
	require.Len(t, c.writes, before)
}

func TestOnlyTheCaBundleIsWritten(t *testing.T) {
	want := mutating(nil, nil, nil)
	want.Labels = map[string]string{"app": "sluice"}
	want.Webhooks[1].ClientConfig = toService("elsewhere", []byte("theirs"))
	c := newCluster(want.DeepCopy(), validating(nil))
	round(t, c.replica(options()))

	bundle := Bundle{c.stored(t).Signing.Certificate}.PEM()
	want.Webhooks[0].ClientConfig.CABundle, want.Webhooks[2].ClientConfig.CABundle = bundle, bundle
	got := &admissionv1.MutatingWebhookConfiguration{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKeyFromObject(want), got))
	require.Equal(t, want.Webhooks, got.Webhooks)
	require.Equal(t, want.Labels, got.Labels)
}

// Any write may fail, with or without having been applied, and the process may
// be another one afterwards: the next rounds end in the same state.
func TestRotationSurvivesACrashAtEveryWrite(t *testing.T) {
	const writes = 10 // 3 of the installation, 7 of the rotation
	for n := 1; n <= writes; n++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, applied %t", n, applied), func(t *testing.T) {
				c := newCluster(mutating(nil), validating(nil))
				c.write = func(i int, _ string, apply func() error) error {
					if i != n {
						return apply()
					}
					if applied {
						require.NoError(t, apply())
					}
					return errRefused
				}
				a := c.replica(options())
				var first *CA
				for range 2 * 70 {
					if _, err := a.round(t.Context()); err != nil {
						require.ErrorIs(t, err, errRefused)
						a = c.replica(options())
						round(t, a)
					}
					if first == nil {
						first = c.stored(t).Signing
					}
					require.NoError(t, a.Ready())
					c.clock.advance(12 * time.Hour)
				}
				stored := c.stored(t)
				require.NotEqual(t, first.Certificate, stored.Signing.Certificate)
				require.Equal(t, Stored{Signing: stored.Signing}, stored)
				require.Equal(t, Observed{{stored.Signing.Certificate}, {stored.Signing.Certificate}}, c.bundles(t))
				require.GreaterOrEqual(t, len(c.writes), writes)
			})
		}
	}
}

func TestDeletedSecretFailsNobody(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	running := c.replica(options())
	round(t, running)
	old, leaf := c.stored(t).Signing.Certificate, running.leaf.Load()
	require.NoError(t, c.Delete(t.Context(), c.secret(t, DefaultSecretName)))

	round(t, running)
	stored := c.stored(t)
	require.Equal(t, Observed{{stored.Next.Certificate, old}, {stored.Next.Certificate, old}}, c.bundles(t))
	require.Same(t, leaf, running.leaf.Load())
	require.NoError(t, running.Ready())

	restarted := c.replica(options())
	round(t, restarted)
	require.ErrorContains(t, restarted.Ready(), "the next CA signs from 2026-01-02T09:14:05Z on")

	c.clock.advance(quick.Propagation + quick.Skew)
	for _, a := range []*Authority{restarted, running} {
		round(t, a)
		require.NoError(t, a.Ready())
		require.True(t, stored.Next.signed(a.leaf.Load().Leaf))
	}
	c.clock.advance(quick.Overlap)
	round(t, running)
	require.Equal(t, Observed{{stored.Next.Certificate}, {stored.Next.Certificate}}, c.bundles(t))
}

func TestMalformedSecretKeepsTheLeaf(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(options())
	round(t, a)
	leaf := a.leaf.Load()
	secret := c.secret(t, DefaultSecretName)
	secret.Data["ca.crt"] = []byte("oops")
	require.NoError(t, c.Update(t.Context(), secret))

	_, err := a.round(t.Context())
	require.EqualError(t, err, "reading the CA in Secret sluice-system/sluice-ca: key ca.crt: it is not a PEM certificate; "+
		"`kubectl -n sluice-system delete secret sluice-ca` makes a new CA, and what is trusted now stays trusted meanwhile")
	require.Same(t, leaf, a.leaf.Load())
	require.NoError(t, a.Ready())

	require.NoError(t, c.Delete(t.Context(), secret))
	round(t, a)
	require.NoError(t, a.Ready())
}

func TestBundleWipedByAnotherComesBack(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(options())
	round(t, a)
	wiped := &admissionv1.MutatingWebhookConfiguration{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "sluice-mutating"}, wiped))
	wiped.Webhooks[0].ClientConfig.CABundle = nil
	require.NoError(t, c.Update(t.Context(), wiped))

	c.write = func(int, string, func() error) error { return errRefused }
	_, err := a.round(t.Context())
	require.ErrorContains(t, err, "writing the caBundle of MutatingWebhookConfiguration sluice-mutating")
	require.ErrorContains(t, a.Ready(), "the caBundle of webhook a.sluice.dev in MutatingWebhookConfiguration sluice-mutating does not verify the serving certificate")

	c.write = nil
	round(t, a)
	require.NoError(t, a.Ready())
}

func TestRefusedWritesStopNoRenewal(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(options())
	round(t, a)
	c.write = func(int, string, func() error) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, DefaultSecretName, errRefused)
	}
	for range 2 * 89 { // the CA is due after 60 days and can be renewed by nobody
		c.clock.advance(12 * time.Hour)
		_, _ = a.round(t.Context())
		require.NoError(t, a.Ready())
	}
	c.clock.advance(day)
	_, _ = a.round(t.Context())
	require.ErrorContains(t, a.Ready(), "the serving certificate expires at")
	require.ErrorContains(t, a.Ready(), "storing the CA in Secret sluice-system/sluice-ca")
}

func TestUnreachableServerChangesNothing(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a := c.replica(options())
	round(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.client = cancelled{c.Client}
	_, err := a.round(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, a.Ready())
}

// cancelled is a client that answers reads as a cut connection does.
type cancelled struct{ client.Client }

func (cancelled) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return ctx.Err()
}

func TestMissingConfigurationIsNotFatal(t *testing.T) {
	c := newCluster(validating(nil))
	a := c.replica(options())
	require.Equal(t, pendingInterval, round(t, a))
	require.NoError(t, a.Ready())

	require.NoError(t, c.Create(t.Context(), mutating(nil, nil)))
	require.Equal(t, quick.Interval, round(t, a))
	require.NoError(t, a.Ready())
	ca := c.stored(t).Signing.Certificate
	require.Equal(t, Observed{{ca}, {ca}, {ca}}, c.bundles(t))
}

func TestLosersOfARaceReadAgain(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	a, b := c.replica(options()), c.replica(options())
	var inside bool
	c.write = func(_ int, _ string, apply func() error) error {
		if !inside { // b does everything between a's reading and each of its writes
			inside = true
			round(t, b)
			inside = false
		}
		return apply()
	}
	for range 2 * 70 {
		round(t, a)
		round(t, b)
		require.NoError(t, a.Ready())
		require.NoError(t, b.Ready())
		c.clock.advance(12 * time.Hour)
	}
	created := slices.DeleteFunc(slices.Clone(c.writes), func(w string) bool { return w != "create sluice-ca" })
	require.Len(t, created, 2, "one wins, one loses")
	require.Empty(t, c.stored(t).Retired)
}

func TestConfigurationOfTheInjectorIsLeftAlone(t *testing.T) {
	theirs := mutating(Bundle{newCA(t, start).Certificate}.PEM())
	theirs.Annotations = map[string]string{"cert-manager.io/inject-ca-from": "sluice-system/sluice"}
	c := newCluster(theirs, validating(nil))
	a := c.replica(options())
	round(t, a)
	require.Equal(t, []string{"create sluice-ca", "patch sluice-validating"}, c.writes)
	require.ErrorContains(t, a.Ready(), "its annotation cert-manager.io/inject-ca-from leaves the caBundle to cert-manager")
}

func TestSecretPreparedByAChartIsUsed(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sluice-ca", Labels: map[string]string{"app": "sluice"}},
		Data:       map[string][]byte{"ca.crt": nil},
	})
	a := c.replica(options())
	round(t, a)
	require.NoError(t, a.Ready())
	require.Equal(t, "update sluice-ca", c.writes[0])
	require.Equal(t, "sluice", c.secret(t, "sluice-ca").Labels["app"])
}

func TestConfigurationThatMovedOnIsReadAgain(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	var done bool
	c.write = func(_ int, what string, apply func() error) error {
		if what == "patch sluice-mutating" && !done { // someone puts their webhook where ours was
			done = true
			moved := &admissionv1.MutatingWebhookConfiguration{}
			require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "sluice-mutating"}, moved))
			theirs := admissionv1.MutatingWebhook{Name: "theirs", ClientConfig: toService("elsewhere", []byte("theirs"))}
			moved.Webhooks = append([]admissionv1.MutatingWebhook{theirs}, moved.Webhooks...)
			require.NoError(t, c.Update(t.Context(), moved))
		}
		return apply()
	}
	a := c.replica(options())
	round(t, a)
	require.NoError(t, a.Ready())
	got := &admissionv1.MutatingWebhookConfiguration{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "sluice-mutating"}, got))
	require.Equal(t, "theirs", string(got.Webhooks[0].ClientConfig.CABundle))
	require.Equal(t, Bundle{c.stored(t).Signing.Certificate}.PEM(), got.Webhooks[1].ClientConfig.CABundle)
}

// A promoted CA is not enough: what this replica reads must trust it now.
func TestLeafOfACAThatIsNoLongerTrustedIsNotServed(t *testing.T) {
	c := newCluster(mutating(nil), validating(nil))
	first, second := c.replica(options()), c.replica(options())
	round(t, first)
	round(t, second)
	old := c.stored(t).Signing
	c.clock.advance(60 * day)
	round(t, second) // announces
	before := second.leaf.Load()
	require.True(t, old.signed(before.Leaf))
	c.clock.advance(quick.Propagation + quick.Skew)
	round(t, first)
	require.NotEqual(t, old.Certificate, c.stored(t).Signing.Certificate)

	reset := &admissionv1.ValidatingWebhookConfiguration{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Name: "sluice-validating"}, reset))
	reset.Webhooks[0].ClientConfig.CABundle = Bundle{old.Certificate}.PEM()
	require.NoError(t, c.Update(t.Context(), reset))
	c.write = func(int, string, func() error) error { return errRefused }
	_, err := second.round(t.Context())
	require.ErrorIs(t, err, errRefused)
	require.Same(t, before, second.leaf.Load())
	require.NoError(t, second.Ready())
}
