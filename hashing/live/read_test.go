package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

func TestRead(t *testing.T) {
	ignored := makeSecret("tls", map[string][]byte{"crt": {1}})
	ignored.Annotations = map[string]string{"sluice.dev/config": "ignore"}
	odd := makeConfigMap("odd", nil)
	odd.Annotations = map[string]string{"sluice.dev/config": "hash"}
	binary := makeConfigMap("app", map[string]string{"url": "http://a"})
	binary.BinaryData = map[string][]byte{"logo": {0xff}}
	elsewhere := makeConfigMap("elsewhere", nil)
	elsewhere.Namespace = "bank"
	server := newCluster(t, binary, makeSecret("db", map[string][]byte{"password": []byte("p")}), ignored, odd, elsewhere)

	for sentence, test := range map[string]struct {
		refs     []hashing.Reference
		want     []hashing.Object
		wantGets int32
	}{
		"no references: no request": {nil, []hashing.Object{}, 0},
		"data and binaryData of a ConfigMap": {
			[]hashing.Reference{all(hashing.ConfigMap, "app")},
			[]hashing.Object{{Kind: hashing.ConfigMap, Name: "app",
				Data: map[string][]byte{"url": []byte("http://a")}, BinaryData: map[string][]byte{"logo": {0xff}}}},
			1,
		},
		"data of a Secret": {
			[]hashing.Reference{all(hashing.Secret, "db")},
			[]hashing.Object{{Kind: hashing.Secret, Name: "db", Data: map[string][]byte{"password": []byte("p")}}},
			1,
		},
		"what does not exist is absent": {
			[]hashing.Reference{all(hashing.ConfigMap, "db"), all(hashing.ConfigMap, "elsewhere"), all(hashing.Secret, "app")},
			[]hashing.Object{}, 3,
		},
		"a name that no object can have is absent without a request": {
			[]hashing.Reference{all(hashing.Secret, "../configmaps/app"), all(hashing.Secret, "A b"), all(hashing.Secret, "..")},
			[]hashing.Object{}, 0,
		},
		"only the annotation sluice.dev/config: ignore makes an object ignored": {
			[]hashing.Reference{all(hashing.Secret, "tls"), all(hashing.ConfigMap, "odd")},
			[]hashing.Object{
				{Kind: hashing.Secret, Name: "tls", Data: map[string][]byte{"crt": {1}}, Ignored: true},
				{Kind: hashing.ConfigMap, Name: "odd", Data: map[string][]byte{}},
			},
			2,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			server.gets.Store(0)
			objects, err := Read(t.Context(), server, "shop", test.refs)
			require.NoError(t, err)
			require.Equal(t, test.want, objects)
			require.Equal(t, test.wantGets, server.gets.Load())
		})
	}
}

// Acceptance 9: metadata and immutable are no content.
func TestWhatIsNotContentDoesNotChangeTheDigest(t *testing.T) {
	refs := []hashing.Reference{all(hashing.ConfigMap, "app"), all(hashing.Secret, "db")}
	keys := loadedKeyring(t, newCluster(t))
	digest := func(server client.Reader) string {
		objects, err := Read(t.Context(), server, "shop", refs)
		require.NoError(t, err)
		digest, err := keys.Digest(t.Context(), "", "shop", refs, objects)
		require.NoError(t, err)
		return digest
	}
	configMap, secret := makeConfigMap("app", map[string]string{"a": "1"}), makeSecret("db", map[string][]byte{"b": {2}})
	before := digest(newCluster(t, configMap.DeepCopy(), secret.DeepCopy()))

	immutable := true
	configMap.Labels, secret.Labels = map[string]string{"l": "1"}, map[string]string{"l": "1"}
	configMap.Annotations, secret.Annotations = map[string]string{"l": "1"}, map[string]string{"l": "1"}
	configMap.ResourceVersion, secret.ResourceVersion = "999", "999"
	configMap.Immutable, secret.Immutable = &immutable, &immutable
	secret.Type = corev1.SecretTypeOpaque
	require.Equal(t, before, digest(newCluster(t, configMap.DeepCopy(), secret.DeepCopy())))

	configMap.Data["a"] = "2"
	require.NotEqual(t, before, digest(newCluster(t, configMap, secret)))
}

// Acceptance 18: every failure says which object, and no failure looks like an absence.
func TestReadFailuresNameTheObject(t *testing.T) {
	refs := []hashing.Reference{all(hashing.ConfigMap, "app"), all(hashing.Secret, "db")}
	secrets := schema.GroupResource{Resource: "secrets"}
	for sentence, failure := range map[string]error{
		"forbidden":           apierrors.NewForbidden(secrets, "db", errors.New("no")),
		"too many requests":   apierrors.NewTooManyRequests("slow down", 1),
		"internal error":      apierrors.NewInternalError(errors.New("etcd")),
		"timeout":             apierrors.NewServerTimeout(secrets, "get", 1),
		"connection refused":  errors.New("dial tcp: connection refused"),
		"404 of a proxy":      apierrors.NewGenericServerResponse(404, "get", secrets, "db", "<html>", 0, true),
		"gone":                apierrors.NewResourceExpired("compacted"),
		"deadline of another": context.DeadlineExceeded,
	} {
		t.Run(sentence, func(t *testing.T) {
			server := newCluster(t, makeConfigMap("app", map[string]string{"a": "value-of-app"}))
			server.onGet = func(_ context.Context, name string) error {
				if name == "db" {
					return failure
				}
				return nil
			}
			objects, err := Read(t.Context(), server, "shop", refs)
			require.Nil(t, objects)
			require.ErrorIs(t, err, failure)
			require.ErrorContains(t, err, "reading Secret shop/db: ")
			require.NotContains(t, err.Error(), "value-of-app")
		})
	}
}

func TestReadOfAnUnknownKindIsABug(t *testing.T) {
	_, err := Read(t.Context(), newCluster(t), "shop", []hashing.Reference{{Kind: "Pod", Name: "web"}})
	require.EqualError(t, err, "reading Pod shop/web: a reference to a kind that holds no config: this is a bug")
}

// A server that never answers holds Read no longer than the deadline of the request, however many references there are.
func TestReadEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newCluster(t)
		server.onGet = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		var refs []hashing.Reference
		for i := range 100 {
			refs = append(refs, all(hashing.ConfigMap, fmt.Sprintf("app-%d", i)))
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := Read(ctx, server, "shop", refs)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Regexp(t, `^reading ConfigMap shop/app-\d+: `, err.Error())
		require.Equal(t, 2*time.Second, time.Since(start))
		require.EqualValues(t, readsAtOnce, server.gets.Load(), "what had not begun was not begun")
	})
}

func TestReadAfterItsDeadlineAsksNothing(t *testing.T) {
	server := newCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Read(ctx, server, "shop", []hashing.Reference{all(hashing.Secret, "db")})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "reading Secret shop/db: ")
	require.Zero(t, server.gets.Load())
}

func TestReadIsConcurrentWithABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		server := newCluster(t)
		server.onGet = func(context.Context, string) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			return nil
		}
		var refs []hashing.Reference
		for i := range 20 {
			refs = append(refs, all(hashing.Secret, fmt.Sprintf("s-%d", i)))
		}
		start := time.Now()
		_, err := Read(t.Context(), server, "shop", refs)
		require.NoError(t, err)
		require.LessOrEqual(t, most.Load(), int32(readsAtOnce))
		require.Equal(t, 3*time.Second, time.Since(start), "20 reads of a second, 8 at once")
		require.EqualValues(t, 20, server.gets.Load(), "each object once")
	})
}

// The same on the wire: what client-go makes of the answers of a real server and of a proxy before it.
func TestReadTellsTheServersNotFoundFromAProxys(t *testing.T) {
	notFound := `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"secrets \"db\" not found","reason":"NotFound","details":{"name":"db","kind":"secrets"},"code":404}`
	for sentence, test := range map[string]struct {
		contentType, body string
		status            int
		wantError         bool
	}{
		"the server's answer that it does not exist": {"application/json", notFound, 404, false},
		"a proxy's page":              {"text/html", "<html>404</html>", 404, true},
		"a proxy's empty answer":      {"text/plain", "", 404, true},
		"a gateway without a backend": {"text/plain", "no upstream", 503, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion})
			mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
			c, err := client.New(&rest.Config{Host: server.URL}, client.Options{Mapper: mapper})
			require.NoError(t, err)
			objects, err := Read(t.Context(), c, "shop", []hashing.Reference{all(hashing.Secret, "db")})
			require.Empty(t, objects)
			if test.wantError {
				require.ErrorContains(t, err, "reading Secret shop/db: ")
				return
			}
			require.NoError(t, err)
		})
	}
}
