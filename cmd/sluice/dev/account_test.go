package dev

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/cmd/sluice/server"
)

// person has every credential that a kubeconfig can hold.
func person(host string) server.Cluster {
	return server.Cluster{Name: "shop", Config: &rest.Config{
		Host: host, BearerToken: "person", Username: "person", Password: "secret",
		Impersonate:  rest.ImpersonationConfig{UserName: "boss"},
		ExecProvider: &clientcmdapi.ExecConfig{Command: "aws"},
		TLSClientConfig: rest.TLSClientConfig{
			Insecure: true, CertData: []byte("cert"), KeyData: []byte("key"), CertFile: "/cert", KeyFile: "/key",
		},
		QPS: 7, Burst: 8,
	}}
}

// sourceFunc makes tokens.
type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

func TestTheServerActsAsTheAccountOnly(t *testing.T) {
	var got http.Header
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer api.Close()

	account := asAccount(person(api.URL), sourceFunc(func() (*oauth2.Token, error) {
		return &oauth2.Token{AccessToken: "account", TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}, nil
	}))

	require.Empty(t, account.Config.BearerToken+account.Config.Username+account.Config.Password)
	require.Empty(t, account.Config.Impersonate.UserName)
	require.Nil(t, account.Config.ExecProvider)
	require.Empty(t, string(account.Config.CertData)+account.Config.CertFile+string(account.Config.KeyData)+account.Config.KeyFile)
	require.InDelta(t, 7, account.Config.QPS, 0)
	ask(t, account.Config)
	require.Equal(t, []string{"Bearer account"}, got.Values("Authorization"))
	require.Empty(t, got.Values("Impersonate-User"))
}

func ask(t *testing.T, config *rest.Config) {
	t.Helper()
	c, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host, nil)
	require.NoError(t, err)
	response, err := c.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
}

func TestTokensAreRenewedBeforeTheyExpire(t *testing.T) {
	var seen []string
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
	}))
	defer api.Close()
	issued, life := 0, time.Hour
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		SubResourceCreate: func(_ context.Context, _ client.Client, name string, obj client.Object, sub client.Object, _ ...client.SubResourceCreateOption) error {
			require.Equal(t, "token", name)
			require.Equal(t, "sluice-system/sluice", client.ObjectKeyFromObject(obj).String())
			require.IsType(t, &corev1.ServiceAccount{}, obj)
			request, ok := sub.(*authenticationv1.TokenRequest)
			require.True(t, ok)
			issued++
			request.Status.Token = fmt.Sprintf("token-%d", issued)
			request.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(life))
			return nil
		},
	}).Build()
	// The clock of the source is behind, so that a token of an hour counts as
	// expired as soon as four fifths of its life are over.
	behind := time.Duration(0)
	source := tokens{ctx: t.Context(), client: c, namespace: "sluice-system", now: func() time.Time { return time.Now().Add(-behind) }}

	account := asAccount(person(api.URL), source)
	ask(t, account.Config)
	ask(t, account.Config)
	require.Equal(t, []string{"Bearer token-1", "Bearer token-1"}, seen)

	fresh, err := source.Token()
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(life*4/5), fresh.Expiry, time.Minute)

	// One that was issued when four fifths of its hour had passed already.
	seen, behind, life = nil, time.Hour, time.Millisecond
	account = asAccount(person(api.URL), source)
	ask(t, account.Config)
	ask(t, account.Config)
	require.Equal(t, []string{"Bearer token-3", "Bearer token-4"}, seen)
}
