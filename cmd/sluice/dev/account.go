package dev

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/oauth2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/cmd/sluice/server"
	"sluice.dev/sluice/manifests"
)

// tokenLife is asked for; the API server may give less or more.
const tokenLife = time.Hour

const tokenTimeout = 10 * time.Second

// tokens asks for tokens of sluice's ServiceAccount, as the person.
type tokens struct {
	ctx       context.Context // of the whole run; oauth2.TokenSource has no place for one
	client    client.Client
	namespace string
	now       func() time.Time
}

// Token returns one that counts as expired after four fifths of its life, so
// that the next is there in time.
func (t tokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(t.ctx, tokenTimeout)
	defer cancel()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: manifests.Name}}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife / time.Second))},
	}
	asked := t.now()
	if err := t.client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("requesting a token for ServiceAccount %s/%s: %w", account.Namespace, account.Name, err)
	}
	life := request.Status.ExpirationTimestamp.Sub(asked)
	return &oauth2.Token{AccessToken: request.Status.Token, TokenType: "Bearer", Expiry: asked.Add(life * 4 / 5)}, nil
}

// asAccount is the person's cluster without the person: the same server and its
// certificate authority, and tokens instead of every credential.
func asAccount(person server.Cluster, source oauth2.TokenSource) server.Cluster {
	config := rest.AnonymousClientConfig(person.Config)
	config.QPS, config.Burst = person.Config.QPS, person.Config.Burst
	config.WarningHandlerWithContext = person.Config.WarningHandlerWithContext
	config.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedTokenSource(source)))
	return server.Cluster{Config: config, Name: person.Name}
}
