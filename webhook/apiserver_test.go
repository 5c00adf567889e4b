package webhook

import (
	"context"
	"encoding/pem"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// callAsAPIServer calls a webhook with the client that the API server uses, set up as there
// (k8s.io/apiserver, pkg/util/webhook), and returns what the API server gets to know.
func callAsAPIServer(t testing.TB, s *Server, path string, review admissionv1.AdmissionReview, ca []byte) (*admissionv1.AdmissionReview, error) {
	scheme := runtime.NewScheme()
	require.NoError(t, admissionv1.AddToScheme(scheme))
	codec := serializer.NewCodecFactory(scheme).LegacyCodec(admissionv1.SchemeGroupVersion)
	hook, err := rest.UnversionedRESTClientFor(&rest.Config{
		Host: "https://" + s.Address(), APIPath: path, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca},
		ContentConfig: rest.ContentConfig{
			ContentType: runtime.ContentTypeJSON,
			NegotiatedSerializer: serializer.NegotiatedSerializerWrapper(runtime.SerializerInfo{
				MediaType: runtime.ContentTypeJSON, EncodesAsText: true, Serializer: codec,
			}),
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var answer admissionv1.AdmissionReview
	err = hook.Post().Body(&review).Timeout(5 * time.Second).Do(ctx).Into(&answer)
	return &answer, err
}

func TestTheAPIServerUnderstandsWhatWeAnswer(t *testing.T) {
	ca, leaf := issue(t)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	review := contractReview(t, "update-of-the-image")
	serve := func(c cluster) *Server {
		c.objects = shopWithConfig("info")
		c.deps = func(d *Deps) { d.Certificates = &heldCertificates{certificate: leaf} }
		return startServer(t, c.server(t))
	}

	t.Run("a patch", func(t *testing.T) {
		answer, err := callAsAPIServer(t, serve(cluster{}), MutatePath, review, bundle)
		require.NoError(t, err)
		require.True(t, answer.Response.Allowed)
		require.NotEmpty(t, answer.Response.Patch)
	})
	t.Run("a failed read, in our words", func(t *testing.T) {
		s := serve(cluster{funcs: failing("Namespace", func(context.Context) error { return context.DeadlineExceeded })})
		_, err := callAsAPIServer(t, s, MutatePath, review, bundle)
		require.EqualError(t, err,
			"sluice could not decide on deployments shop/web: reading Namespace shop: context deadline exceeded; nothing was changed, try again")
	})
	t.Run("too many at once: it tries again by itself", func(t *testing.T) {
		entered, release := make(chan struct{}, 10), make(chan struct{})
		s := serve(cluster{
			opts: func(o *Options) { o.MaxRequests = 1 },
			funcs: interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
				if kindOf(key, object) == "Namespace" {
					entered <- struct{}{}
					<-release
				}
				return c.Get(ctx, key, object, opts...)
			}},
		})
		first, second := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := callAsAPIServer(t, s, MutatePath, review, bundle)
			first <- err
		}()
		<-entered
		go func() {
			_, err := callAsAPIServer(t, s, MutatePath, review, bundle)
			second <- err
		}()
		require.Eventually(t, func() bool { return value(t, s.metrics.shed.WithLabelValues("mutate")) == 1 }, 5*time.Second, time.Millisecond)
		close(release)
		require.NoError(t, <-first)
		require.NoError(t, <-second)
	})
}
