package live

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/hashing"
)

func makeConfigMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: data}
}

func makeSecret(name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: data}
}

func all(kind hashing.Kind, name string) hashing.Reference {
	return hashing.Reference{Kind: kind, Name: name}
}

// cluster is a fake API server that counts requests and can be told how to answer.
type cluster struct {
	client.WithWatch
	gets, creates, updates atomic.Int32
	// onGet answers instead of the server if it returns an error.
	mu    sync.Mutex
	onGet func(ctx context.Context, name string) error
	// onUpdate is called with each update, which it makes itself.
	onUpdate func(update func() error) error
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{}
	c.WithWatch = fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, server client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			c.gets.Add(1)
			if err := c.answer(ctx, key.Name); err != nil {
				return err
			}
			return server.Get(ctx, key, obj, opts...)
		},
		Create: func(ctx context.Context, server client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			c.creates.Add(1)
			return server.Create(ctx, obj, opts...)
		},
		Update: func(ctx context.Context, server client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			c.updates.Add(1)
			update := func() error { return server.Update(ctx, obj, opts...) }
			if c.onUpdate != nil {
				return c.onUpdate(update)
			}
			return update()
		},
	}).Build()
	return c
}

func (c *cluster) answer(ctx context.Context, name string) error {
	c.mu.Lock()
	onGet := c.onGet
	c.mu.Unlock()
	if onGet == nil {
		return nil
	}
	return onGet(ctx, name)
}

func (c *cluster) setOnGet(onGet func(ctx context.Context, name string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onGet = onGet
}

// clock is a time that the test moves.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_800_000_000, c.nanoseconds.Load()) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }
