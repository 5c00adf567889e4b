package live

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

// PinPolicy is the name of the MutatingAdmissionPolicy, and of its binding, that has pods read snapshots.
const PinPolicy = "pin.sluice.dev"

const (
	// SnapshotAge is how long a snapshot that nobody needs is kept after it was made or used: longer than it takes to
	// store the workload that it was made for.
	SnapshotAge = 10 * time.Minute
	// freshFor is for how long a snapshot is so young that it need not be noted that it is used again.
	freshFor = time.Minute
	// pinAttempts of making one: it may be collected between two requests.
	pinAttempts = 3
)

// PinClient makes snapshots.
type PinClient interface {
	client.Reader
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error
}

// TakenError says that the name of a snapshot is another object's.
type TakenError struct{ Object string }

func (e *TakenError) Error() string {
	return e.Object + " exists, and is not the snapshot that has to be there"
}

// Pin makes the snapshots, eight at once. When it returns nil all of them exist, with this content, and are not collected
// for SnapshotAge. The first failure ends it, with an error that names the object and holds nothing of it.
func Pin(ctx context.Context, c PinClient, namespace string, snapshots []hashing.Snapshot, now func() time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for _, snapshot := range snapshots {
		group.Go(func() error { return pin(ctx, c, snapshotObject(namespace, snapshot), now) })
	}
	return group.Wait()
}

func pin(ctx context.Context, c PinClient, want client.Object, now func() time.Time) error {
	name := nameOf(want)
	for range pinAttempts {
		err := c.Create(ctx, want.DeepCopyObject().(client.Object), fieldManager)
		if err == nil {
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %s: %w", name, err)
		}
		if err = reuse(ctx, c, want, now); !isAbsent(err) {
			return err
		}
	}
	return fmt.Errorf("creating %s: it is deleted again and again", name)
}

// reuse checks that what exists is the snapshot, and notes that it is used.
func reuse(ctx context.Context, c PinClient, want client.Object, now func() time.Time) error {
	found := emptyLike(want)
	if err := c.Get(ctx, client.ObjectKeyFromObject(want), found); err != nil {
		return fmt.Errorf("reading %s: %w", nameOf(want), err)
	}
	if found.GetDeletionTimestamp() != nil || !sameSnapshot(found, want) {
		return &TakenError{nameOf(want)}
	}
	at := now()
	if at.Sub(UsedAt(found)) < freshFor {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, hashing.AnnotationSnapshotUsed, at.UTC().Format(time.RFC3339Nano))
	if err := c.Patch(ctx, found, client.RawPatch(types.MergePatchType, patch), fieldManager); err != nil {
		return fmt.Errorf("noting that %s is used: %w", nameOf(want), err)
	}
	return nil
}

// UsedAt is when a snapshot was made, or last admitted to be read by a version.
func UsedAt(snapshot metav1.Object) time.Time {
	made := snapshot.GetCreationTimestamp().Time
	used, err := time.Parse(time.RFC3339Nano, snapshot.GetAnnotations()[hashing.AnnotationSnapshotUsed])
	if err != nil || used.Before(made) {
		return made
	}
	return used
}

func snapshotObject(namespace string, s hashing.Snapshot) client.Object {
	metadata := metav1.ObjectMeta{
		Namespace: namespace, Name: s.Name,
		Labels:      map[string]string{hashing.LabelSnapshot: "true"},
		Annotations: map[string]string{hashing.AnnotationSnapshotOf: s.Of},
	}
	if s.Kind == hashing.Secret {
		return &corev1.Secret{ObjectMeta: metadata, Immutable: ptr.To(true), Type: corev1.SecretType(s.Type), Data: s.Data}
	}
	data := make(map[string]string, len(s.Data))
	for key, value := range s.Data {
		data[key] = string(value)
	}
	return &corev1.ConfigMap{ObjectMeta: metadata, Immutable: ptr.To(true), Data: data, BinaryData: s.BinaryData}
}

func emptyLike(object client.Object) client.Object {
	if _, ok := object.(*corev1.Secret); ok {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

// sameSnapshot: the API server stores no empty map.
func sameSnapshot(found, want client.Object) bool {
	if found.GetLabels()[hashing.LabelSnapshot] != "true" {
		return false
	}
	switch want := want.(type) {
	case *corev1.ConfigMap:
		found := found.(*corev1.ConfigMap)
		return ptr.Deref(found.Immutable, false) && maps.Equal(found.Data, want.Data) &&
			equality.Semantic.DeepEqual(found.BinaryData, want.BinaryData)
	case *corev1.Secret:
		found := found.(*corev1.Secret)
		return ptr.Deref(found.Immutable, false) && equality.Semantic.DeepEqual(withoutFillers(found.Data), withoutFillers(want.Data))
	}
	return false
}

// withoutFillers leaves out what a Secret's type asks for: pods see no type, and a digest is of none.
func withoutFillers(data map[string][]byte) map[string][]byte {
	data = maps.Clone(data)
	maps.DeleteFunc(data, hashing.IsFiller)
	return data
}

// nameOf names an object as kubectl does, with its namespace.
func nameOf(object client.Object) string {
	kind := hashing.ConfigMap
	if _, ok := object.(*corev1.Secret); ok {
		kind = hashing.Secret
	}
	return string(kind) + " " + client.ObjectKeyFromObject(object).String()
}

// PinInstalled tells whether the API server has what makes pods read snapshots: the policy and its binding. Kubernetes
// before 1.36 does not know their kinds, and without the ClusterRole of pin sluice may not look: then it is not installed.
//
// since is when the later of the two was made: an API server goes by them a moment later.
func PinInstalled(ctx context.Context, reader client.Reader) (installed bool, since time.Time, err error) {
	for _, kind := range []string{"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"} {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: kind})
		err := reader.Get(ctx, types.NamespacedName{Name: PinPolicy}, object)
		switch {
		case isAbsent(err), meta.IsNoMatchError(err), apierrors.IsForbidden(err):
			return false, since, nil
		case err != nil:
			return false, since, fmt.Errorf("reading %s %s: %w", kind, PinPolicy, err)
		case object.DeletionTimestamp != nil:
			return false, since, nil
		}
		if made := object.CreationTimestamp.Time; made.After(since) {
			since = made
		}
	}
	return true, since, nil
}
