package dev

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/manifests"
)

func newInstaller(t *testing.T, c client.Client) *installer {
	t.Helper()
	parts, err := objects(base, manifests.Namespace)
	require.NoError(t, err)
	return &installer{client: c, parts: parts}
}

func cluster(objs ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).Build()
}

var (
	theirNamespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: manifests.Namespace}}
	theirRole      = &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: manifests.Name}}
	devsRole       = &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: manifests.Name, Labels: map[string]string{managedByLabel: managedByDev}}}
)

func TestInspect(t *testing.T) {
	tests := map[string]struct {
		there     []client.Object
		wantError string
	}{
		"an empty cluster":                  {},
		"a namespace alone is no sluice":    {there: []client.Object{theirNamespace}},
		"what an earlier dev left":          {there: []client.Object{devsRole}},
		"an installed sluice is left alone": {there: []client.Object{theirNamespace, theirRole}, wantError: "sluice is installed in this cluster already (clusterrole/sluice)"},
		"and the way out is kubectl's":      {there: []client.Object{theirRole}, wantError: "kubectl delete -f manifests/install.yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := newInstaller(t, cluster(tt.there...)).inspect(t.Context())

			if tt.wantError == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.wantError)
			}
		})
	}
}

// installAll does what a run does, less the server, whose Secrets are made here.
func installAll(t *testing.T, i *installer) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, i.prepareNamespace(ctx))
	before, err := i.existing(ctx)
	require.NoError(t, err)
	require.NoError(t, i.apply(ctx, i.parts.account...))
	require.NoError(t, i.apply(ctx, i.parts.webhooks...))
	for _, name := range secrets {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.Namespace, Name: name}}
		require.NoError(t, client.IgnoreAlreadyExists(i.client.Create(ctx, secret)))
	}
	require.NoError(t, i.claim(ctx, before))
}

// remaining are the objects of dev's and the server's that exist.
func remaining(t *testing.T, i *installer) []string {
	t.Helper()
	objs := i.parts.all()
	for _, name := range secrets {
		secret := &unstructured.Unstructured{}
		secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		secret.SetNamespace(manifests.Namespace)
		secret.SetName(name)
		objs = append(objs, secret)
	}
	var left []string
	for _, obj := range objs {
		found, err := i.find(t.Context(), obj)
		require.NoError(t, err)
		if found != nil {
			left = append(left, describe(found))
		}
	}
	return left
}

func TestTakingOut(t *testing.T) {
	theirSecret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.Namespace, Name: "sluice-hash-key"}}
	tests := map[string]struct {
		there []client.Object
		want  []string
	}{
		"nothing is left":                         {},
		"a namespace that was there before stays": {there: []client.Object{theirNamespace}, want: []string{"namespace/sluice-system"}},
		"and so does a Secret in it":              {there: []client.Object{theirNamespace, theirSecret}, want: []string{"namespace/sluice-system", "secret/sluice-hash-key in sluice-system"}},
		"what an earlier dev left goes too":       {there: []client.Object{devsRole}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i := newInstaller(t, cluster(tt.there...))
			installAll(t, i)

			require.NoError(t, i.removeWebhooks(t.Context()))
			require.NoError(t, i.removeRest(t.Context()))

			require.Equal(t, tt.want, remaining(t, i))
			require.NoError(t, i.removeRest(t.Context()), "nothing to take out is no error")
		})
	}

	t.Run("webhooks go first and alone", func(t *testing.T) {
		i := newInstaller(t, cluster())
		installAll(t, i)

		require.NoError(t, i.removeWebhooks(t.Context()))

		left := remaining(t, i)
		require.Contains(t, left, "clusterrole/sluice")
		require.NotContains(t, left, "mutatingwebhookconfiguration/sluice")
		require.NotContains(t, left, "validatingwebhookconfiguration/sluice")
	})

	t.Run("what was not dev's is not taken out, whatever its name", func(t *testing.T) {
		i := newInstaller(t, cluster(theirRole))

		require.NoError(t, i.removeRest(t.Context()))

		require.Equal(t, []string{"clusterrole/sluice"}, remaining(t, i))
	})

	t.Run("one that fails does not keep the others, and is named", func(t *testing.T) {
		c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
			Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
				if obj.GetObjectKind().GroupVersionKind().Kind == "ClusterRoleBinding" {
					return errors.New("etcd is away")
				}
				return c.Delete(ctx, obj, opts...)
			},
		}).Build()
		i := newInstaller(t, c)
		installAll(t, i)

		err := errors.Join(i.removeWebhooks(t.Context()), i.removeRest(t.Context()))

		require.ErrorContains(t, err, "taking out clusterrolebinding/sluice: etcd is away")
		require.Equal(t, []string{"clusterrolebinding/sluice"}, remaining(t, i))
	})
}

func TestHeldWorkloadsAreReported(t *testing.T) {
	release := &canary.Release{ID: 2, Phase: canary.Waiting, Step: 1}
	web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web",
		Labels:      map[string]string{canary.ActiveLabel: "true"},
		Annotations: map[string]string{canary.ReleaseAnnotation: release.Encode()}}}
	other := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}}
	tests := map[string]struct {
		there []client.Object
		want  []string
	}{
		"nothing is held":              {there: []client.Object{other}},
		"each with what lets it go on": {there: []client.Object{web, other}, want: []string{"kubectl -n shop rollout resume deployment/web   # Waiting, step 1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer

			require.NoError(t, reportHeld(t.Context(), cluster(tt.there...), &out))

			if len(tt.want) == 0 {
				require.Empty(t, out.String())
			}
			for _, want := range tt.want {
				require.Contains(t, out.String(), want)
			}
			require.NotContains(t, out.String(), "other")
		})
	}
}

func TestUnreached(t *testing.T) {
	failed := errors.New(`Internal error occurred: failed calling webhook "x.probe.sluice.dev": failed to call webhook: Post "https://127.0.0.1:1/probe": dial tcp: connect: connection refused`)
	tests := map[string]struct {
		err  error
		want string
	}{
		"the call failed":           {err: failed, want: `the API server cannot call this process: Post "https://127.0.0.1:1/probe": dial tcp: connect: connection refused; is --url`},
		"no call was made":          {want: "has not called this process within 15s; is --url"},
		"asking failed":             {err: errors.New("no quota"), want: "trying whether the API server calls this process: no quota"},
		"another probe is not ours": {err: errors.New(`failed calling webhook "y.probe.sluice.dev": x`), want: "trying whether"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, unreached(tt.err, "x"), tt.want)
		})
	}
}

func TestTheReasonIsSaidThoughTheTimeEndsDuringAFurtherTry(t *testing.T) {
	failed := errors.New(`failed calling webhook "x.probe.sluice.dev": failed to call webhook: connection refused`)
	tests := map[string]struct {
		answers []error // of the first tries; the next one gets none
		want    string
	}{
		"the call failed":  {[]error{failed}, "the API server cannot call this process: connection refused"},
		"no call was made": {[]error{nil, nil}, "has not called this process within 15s"},
		"nothing answers":  {nil, "trying whether the API server calls this process: context deadline exceeded"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries int
				c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
					Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
						if tries++; tries <= len(tt.answers) {
							return tt.answers[tries-1]
						}
						<-ctx.Done()
						return ctx.Err()
					},
				}).Build()

				require.ErrorContains(t, reach(t.Context(), c, "sluice-system", "MutatingWebhookConfiguration", "x"), tt.want)
			})
		})
	}
}
