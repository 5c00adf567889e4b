package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// start is an arbitrary instant at which tests begin.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const namespace = "sluice-system"

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cluster is a fake API server that counts writes and asks write, if set, how
// each of them ends; n starts at 1.
type cluster struct {
	client.Client
	clock *clock

	mu     sync.Mutex
	writes []string
	write  func(n int, what string, apply func() error) error
}

func newCluster(objects ...client.Object) *cluster {
	c := &cluster{clock: &clock{at: start}}
	c.Client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return c.written("create "+o.GetName(), func() error { return w.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, w client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return c.written("update "+o.GetName(), func() error { return w.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, w client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return c.written("patch "+o.GetName(), func() error { return w.Patch(ctx, o, p, opts...) })
		},
	}).Build()
	return c
}

func (c *cluster) written(what string, apply func() error) error {
	c.mu.Lock()
	c.writes = append(c.writes, what)
	n, write := len(c.writes), c.write
	c.mu.Unlock()
	if write == nil {
		return apply()
	}
	return write(n, what, apply)
}

var errRefused = errors.New("refused by the test")

// replica is an Authority with a clock that is ahead by the skew.
func (c *cluster) replica(opts Options, skew ...time.Duration) *Authority {
	return New(c.Client, opts, func() time.Time {
		at := c.clock.now()
		for _, s := range skew {
			at = at.Add(s)
		}
		return at
	})
}

// round makes one round that must succeed.
func round(t *testing.T, a *Authority) time.Duration {
	t.Helper()
	wait, err := a.round(t.Context())
	require.NoError(t, err)
	return wait
}

func options() Options {
	return Options{
		Namespace: namespace, DNSNames: ServiceNames("sluice", namespace),
		MutatingConfigurations: []string{"sluice-mutating"}, ValidatingConfigurations: []string{"sluice-validating"},
		Timing: quick,
	}
}

// quick is a Timing with round numbers: the CA is renewed after 60 days.
var quick = Timing{
	CAValidity: 90 * day, LeafValidity: 6 * day, Overlap: 7 * day,
	Propagation: 6 * time.Hour, Interval: 12 * time.Hour, Skew: 10 * time.Minute,
}

func mutating(bundles ...[]byte) *admissionv1.MutatingWebhookConfiguration {
	c := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "sluice-mutating"}}
	for i, bundle := range bundles {
		c.Webhooks = append(c.Webhooks, admissionv1.MutatingWebhook{
			Name: string(rune('a'+i)) + ".sluice.dev", ClientConfig: toService(namespace, bundle),
			FailurePolicy: new(admissionv1.Fail), TimeoutSeconds: new(int32(7)),
		})
	}
	return c
}

func validating(bundle []byte) *admissionv1.ValidatingWebhookConfiguration {
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "sluice-validating"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:         "v.sluice.dev",
			ClientConfig: admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:9443/validate"), CABundle: bundle},
		}},
	}
}

func toService(namespace string, bundle []byte) admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{
		Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "sluice"}, CABundle: bundle,
	}
}

// bundles are what the configurations hold, webhook by webhook.
func (c *cluster) bundles(t testing.TB) Observed {
	t.Helper()
	m, v := &admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}
	require.NoError(t, c.Get(context.Background(), client.ObjectKey{Name: "sluice-mutating"}, m))
	require.NoError(t, c.Get(context.Background(), client.ObjectKey{Name: "sluice-validating"}, v))
	var all Observed
	for _, w := range m.Webhooks {
		all = append(all, readBundle(w.ClientConfig.CABundle))
	}
	for _, w := range v.Webhooks {
		all = append(all, readBundle(w.ClientConfig.CABundle))
	}
	return all
}

func (c *cluster) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, secret))
	return secret
}

func (c *cluster) stored(t *testing.T) Stored {
	t.Helper()
	stored, err := parseStored(c.secret(t, DefaultSecretName).Data)
	require.NoError(t, err)
	return stored
}

func newCA(t testing.TB, now time.Time) *CA {
	t.Helper()
	ca, err := NewCA(now, quick)
	require.NoError(t, err)
	return ca
}

func issue(t testing.TB, ca *CA, now time.Time) *tls.Certificate {
	t.Helper()
	leaf, err := ca.Issue(ServiceNames("sluice", namespace), nil, now, quick)
	require.NoError(t, err)
	return leaf
}
