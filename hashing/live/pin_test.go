package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/hashing"
)

func oneSnapshot() []hashing.Snapshot {
	return []hashing.Snapshot{{Of: "db", Object: hashing.Object{Kind: hashing.Secret, Name: "db-1", Type: "example.com/x", Data: map[string][]byte{"password": []byte("hunter2")}}}}
}

// A snapshot may be collected between two requests.
func TestASnapshotThatIsDeletedMeanwhileIsMade(t *testing.T) {
	exists := apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, "db-1")
	for name, test := range map[string]struct {
		refused int
		want    string
	}{"once": {1, ""}, "twice": {2, ""}, "again and again": {3, "creating Secret shop/db-1: it is deleted again and again"}} {
		t.Run(name, func(t *testing.T) {
			left := test.refused
			c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, object client.Object, opts ...client.CreateOption) error {
					if left--; left >= 0 {
						return exists
					}
					return c.Create(ctx, object, opts...)
				},
			}).Build()
			err := Pin(t.Context(), c, "shop", oneSnapshot(), time.Now)
			if test.want != "" {
				require.EqualError(t, err, test.want)
				return
			}
			require.NoError(t, err)
			var made corev1.Secret
			require.NoError(t, c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "db-1"}, &made))
			require.EqualValues(t, "example.com/x", made.Type)
			require.Equal(t, "hunter2", string(made.Data["password"]))
		})
	}
}

func TestASnapshotThatCannotBeMadeIsNamedWithoutItsContent(t *testing.T) {
	c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return errors.New("etcd is down")
		},
	}).Build()
	require.EqualError(t, Pin(t.Context(), c, "shop", oneSnapshot(), time.Now), "creating Secret shop/db-1: etcd is down")
}

func TestASnapshotThatIsBeingDeletedIsNoSnapshot(t *testing.T) {
	leaving := snapshotObject("shop", oneSnapshot()[0])
	leaving.SetFinalizers([]string{"example.com/x"})
	leaving.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	c := fake.NewClientBuilder().WithObjects(leaving).Build()
	var taken *TakenError
	require.ErrorAs(t, Pin(t.Context(), c, "shop", oneSnapshot(), time.Now), &taken)
}

func TestASecretWithoutATypeIsOpaque(t *testing.T) {
	snapshots := oneSnapshot()
	snapshots[0].Type = ""
	stored := snapshotObject("shop", snapshots[0]).(*corev1.Secret)
	stored.Type, stored.CreationTimestamp = corev1.SecretTypeOpaque, metav1.Now()
	c := fake.NewClientBuilder().WithObjects(stored).Build()
	require.NoError(t, Pin(t.Context(), c, "shop", snapshots, time.Now))
}

func TestUsedAt(t *testing.T) {
	made := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		used string
		want time.Time
	}{
		"never again": {"", made},
		"later":       {"2026-11-22T12:00:01.5Z", made.Add(1500 * time.Millisecond)},
		"before":      {"2026-11-22T11:00:00Z", made},
		"nonsense":    {"soon", made},
	} {
		snapshot := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			CreationTimestamp: metav1.NewTime(made), Annotations: map[string]string{hashing.AnnotationSnapshotUsed: test.used},
		}}
		require.True(t, test.want.Equal(UsedAt(snapshot)), name)
	}
}
