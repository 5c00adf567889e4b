package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
	"sluice.dev/sluice/webhook/ownership"
)

// permitted says who may do what in tests: alice drives releases, root does everything, others nothing.
var permitted = map[string][]string{
	"alice": {canary.VerbPromote, canary.VerbAbort},
	"root":  {canary.VerbPromote, canary.VerbAbort, canary.VerbBypass, ownership.VerbForce},
}

// cluster is the API server that a test's server reads.
type cluster struct {
	objects []client.Object
	funcs   interceptor.Funcs
	opts    func(*Options)
	deps    func(*Deps)
}

// keySecret holds a key that is the same in every run, so that digests can be compared with files.
func keySecret(t testing.TB) client.Object {
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	require.NoError(t, err)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: live.SecretName},
		Data:       hashing.NewKeyring(key).Data(),
	}
}

func shop() client.Object {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{canary.EnabledLabel: "true"}}}
}

// client returns a fake client that answers SubjectAccessReviews by permitted, unless a test says
// otherwise.
func (c cluster) client(t testing.TB) client.WithWatch {
	funcs := c.funcs
	if funcs.Create == nil {
		funcs.Create = func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			review, ok := obj.(*authorizationv1.SubjectAccessReview)
			if !ok {
				return c.Create(ctx, obj, opts...)
			}
			attributes := review.Spec.ResourceAttributes
			review.Status.Allowed = slices.Contains(permitted[review.Spec.User], attributes.Verb) && attributes.Group == "apps" && attributes.Namespace != ""
			return nil
		}
	}
	return fake.NewClientBuilder().WithObjects(append(c.objects, keySecret(t))...).WithInterceptorFuncs(funcs).Build()
}

// server returns a server that reads the cluster. It is not started.
func (c cluster) server(t testing.TB) *Server {
	reads := c.client(t)
	keyring, err := live.NewKeyring(live.Options{
		Reader: reads, Writer: reads, Namespace: "sluice-system",
		Random: bytes.NewReader(bytes.Repeat([]byte{7}, 32)), Now: time.Now,
	})
	require.NoError(t, err)
	opts := DefaultOptions()
	opts.Host, opts.Port, opts.ShutdownDelay = "127.0.0.1", 0, 0
	if c.opts != nil {
		c.opts(&opts)
	}
	deps := Deps{
		Reader: reads, Creator: reads, Pinning: reads, Keyring: keyring, Certificates: testCertificates(t),
		Metrics: prometheus.NewRegistry(), Now: time.Now,
	}
	if c.deps != nil {
		c.deps(&deps)
	}
	s, err := New(opts, deps)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// post sends a body to a path of the server, as the API server does.
func post(s *Server, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path+"?timeout=5s", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.WebhookMux().ServeHTTP(w, r)
	return w
}

// admit sends a review and returns the response to it.
func admit(t testing.TB, s *Server, path string, review admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	body, err := json.Marshal(review)
	require.NoError(t, err)
	w := post(s, path, body)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	return decodeResponse(t, w.Body.Bytes(), review)
}

// decodeResponse decodes a response and checks what the API server checks.
func decodeResponse(t testing.TB, body []byte, review admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
	var got admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, "AdmissionReview", got.Kind)
	require.Equal(t, "admission.k8s.io/v1", got.APIVersion)
	require.NotNil(t, got.Response)
	require.Equal(t, review.Request.UID, got.Response.UID)
	require.Equal(t, len(got.Response.Patch) > 0, got.Response.PatchType != nil)
	return got.Response
}

// status posts a body and returns the Status that it is refused with.
func status(t testing.TB, w *httptest.ResponseRecorder) metav1.Status {
	var got metav1.Status
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body.String())
	require.Equal(t, "Status", got.Kind)
	require.Equal(t, w.Code, int(got.Code))
	return got
}

// heldCertificates is a certificate that never changes.
type heldCertificates struct {
	certificate *tls.Certificate
	err         error
}

func (c *heldCertificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.certificate, c.err
}

func (c *heldCertificates) Ready() error { return c.err }
