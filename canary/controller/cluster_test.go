package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"sluice.dev/sluice/canary"
)

var (
	web   = types.NamespacedName{Namespace: "shop", Name: "web"}
	start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
)

// cluster is an API server with sluice's admission and, in native_test.go and nativeset_test.go, the native
// controllers.
type cluster struct {
	t         *testing.T
	kind      schema.GroupVersionKind // of web
	store     client.WithWatch        // what the user and the native controllers use
	raw       *memory                 // below it: for status
	now       time.Time
	stored    int           // writes of anybody
	digest    string        // of the config that templates refer to
	calls     int           // of sluice
	writes    []string      // of sluice that were applied
	patches   []string      // of web, as sent
	rested    int           // stored when the native controllers had nothing left to do
	woken     bool          // sluice looks once more
	crashed   bool          // sluice starts again before it goes on
	stale     client.Reader // what sluice reads instead of the store; nil: the store
	informer  *informer     // what wakes sluice; nil: it never sleeps
	passes    int
	pass      func() (after func()) // called before each pass of sluice
	fault     func(c call) error
	recorder  *events.FakeRecorder
	reconcile *reconciler
}

// call is one request of sluice. A fault is asked before it, and after it where it was applied.
type call struct {
	number  int
	verb    string
	what    string
	write   bool
	applied bool
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	return newClusterOf(t, deploymentKind, objects...)
}

func newClusterOf(t *testing.T, kind schema.GroupVersionKind, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{t: t, kind: kind, now: start, raw: newMemory(objects...)}
	c.store = interceptor.NewClient(c.raw, interceptor.Funcs{
		Create: c.create, Update: c.update, Patch: c.patch, Delete: c.delete, SubResourcePatch: c.patchStatus,
	})
	c.restart()
	return c
}

// restart starts sluice's controller again, with nothing in memory.
func (c *cluster) restart() {
	c.recorder = events.NewFakeRecorder(1000)
	c.reconcile = newReconciler(c.kind, c.sluice(), c.recorder, Options{SettleTime: time.Second, Now: func() time.Time { return c.now }})
}

// sluice returns the client of the controller: counted, and as faulty as the test says.
func (c *cluster) sluice() client.Client {
	return interceptor.NewClient(c.store, interceptor.Funcs{
		Get: func(ctx context.Context, w client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			return c.called("get", obj.GetObjectKind().GroupVersionKind().Kind, false, func() error { return c.reader(w).Get(ctx, key, obj, opts...) })
		},
		List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return c.called("list", fmt.Sprintf("%T", list), false, func() error { return listMetadata(ctx, c.reader(w), list, opts...) })
		},
		Create: func(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return c.called("create", obj.GetName(), true, func() error { return w.Create(ctx, obj, opts...) })
		},
		Update: func(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			return c.called("update", obj.GetName(), true, func() error { return w.Update(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, w client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return c.called("patch", obj.GetName(), true, func() error { return w.Patch(ctx, obj, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, w client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return c.called("patch "+sub, obj.GetName(), true, func() error { return w.SubResource(sub).Patch(ctx, obj, patch, opts...) })
		},
		Delete: func(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return c.called("delete", obj.GetName(), true, func() error { return w.Delete(ctx, obj, opts...) })
		},
	})
}

// reader is where sluice reads.
func (c *cluster) reader(store client.Reader) client.Reader {
	if c.stale != nil {
		return c.stale
	}
	return store
}

// listMetadata does what the fake client cannot: a list of metadata of objects that it keeps as they
// were written, and a list of Events by their fields, of which there are none.
func listMetadata(ctx context.Context, w client.Reader, list client.ObjectList, opts ...client.ListOption) error {
	if _, events := list.(*corev1.EventList); events {
		return nil
	}
	partial, ok := list.(*metav1.PartialObjectMetadataList)
	if !ok {
		return w.List(ctx, list, opts...)
	}
	whole := &unstructured.UnstructuredList{}
	whole.SetGroupVersionKind(partial.GroupVersionKind())
	err := w.List(ctx, whole, opts...)
	for _, item := range whole.Items {
		partial.Items = append(partial.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: item.GetName()}})
	}
	return err
}

func (c *cluster) called(verb, what string, write bool, do func() error) error {
	c.calls++
	this := call{number: c.calls, verb: verb, what: what, write: write}
	if c.fault != nil {
		if err := c.fault(this); err != nil {
			return err
		}
	}
	err := do()
	if err != nil {
		return err
	}
	if write {
		c.writes = append(c.writes, verb+" "+what)
	}
	this.applied = true
	if c.fault != nil {
		return c.fault(this)
	}
	return nil
}

func (c *cluster) create(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
	c.stored++
	obj.SetUID(types.UID(fmt.Sprintf("uid-%s-%d", obj.GetName(), c.stored)))
	obj.SetGeneration(1)
	return w.Create(ctx, obj, opts...)
}

// update counts generations.
func (c *cluster) update(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
	c.stored++
	changed := obj.(*unstructured.Unstructured)
	stored := newObject(changed.GroupVersionKind())
	if err := w.Get(ctx, client.ObjectKeyFromObject(obj), stored); err != nil {
		return err
	}
	changed.SetGeneration(stored.GetGeneration())
	before, after := generationOf(stored), generationOf(changed)
	if before != after {
		changed.SetGeneration(stored.GetGeneration() + 1)
	}
	return w.Update(ctx, obj, opts...)
}

// generationOf returns what a change of makes another generation; of a Deployment, annotations do.
func generationOf(object *unstructured.Unstructured) string {
	counted := []any{object.Object["spec"]}
	if object.GetKind() == canary.Deployment {
		counted = append(counted, object.GetAnnotations())
	}
	raw, err := json.Marshal(counted)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// patch is a merge patch of web by sluice's ServiceAccount.
func (c *cluster) patch(ctx context.Context, w client.WithWatch, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	raw, err := patch.Data(obj)
	require.NoError(c.t, err)
	require.Equal(c.t, types.MergePatchType, patch.Type())
	c.patches = append(c.patches, string(raw))
	stored := newObject(c.kind)
	if err := w.Get(ctx, client.ObjectKeyFromObject(obj), stored); err != nil {
		return err
	}
	changed := stored.DeepCopy()
	mergePatch(c.t, changed, raw)
	if changed.GetResourceVersion() != stored.GetResourceVersion() {
		return apierrors.NewConflict(replicaSetResource, obj.GetName(), fmt.Errorf("the object has been modified"))
	}
	c.admit(stored, changed, canary.Review{Sluice: true, User: "system:serviceaccount:sluice-system:sluice", FieldManager: "sluice"})
	return c.update(ctx, w, changed)
}

// patchStatus is a merge patch of web's status, which no webhook sees.
func (c *cluster) patchStatus(ctx context.Context, w client.Client, sub string, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	raw, err := patch.Data(obj)
	require.NoError(c.t, err)
	require.Equal(c.t, types.MergePatchType, patch.Type())
	require.Equal(c.t, "status", sub)
	stored := newObject(c.kind)
	if err := w.Get(ctx, client.ObjectKeyFromObject(obj), stored); err != nil {
		return err
	}
	changed := stored.DeepCopy()
	mergePatch(c.t, changed, raw)
	if changed.GetResourceVersion() != stored.GetResourceVersion() {
		return apierrors.NewConflict(replicaSetResource, obj.GetName(), fmt.Errorf("the object has been modified"))
	}
	c.stored++
	return c.raw.Status().Update(ctx, changed)
}

// delete honours the preconditions, which the fake client does not.
func (c *cluster) delete(ctx context.Context, w client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
	var all client.DeleteOptions
	all.ApplyOptions(opts)
	if p := all.Preconditions; p != nil {
		stored := obj.DeepCopyObject().(client.Object)
		if err := w.Get(ctx, client.ObjectKeyFromObject(obj), stored); err != nil {
			return err
		}
		if stored.GetUID() != *p.UID || (p.ResourceVersion != nil && stored.GetResourceVersion() != *p.ResourceVersion) {
			return apierrors.NewConflict(replicaSetResource, obj.GetName(), fmt.Errorf("the precondition differs"))
		}
	}
	all.Preconditions = nil
	c.stored++
	return w.Delete(ctx, obj, &all)
}

// user makes one write of a person, through admission.
func (c *cluster) user(fieldManager string, change func(*unstructured.Unstructured)) {
	c.t.Helper()
	old := c.workload()
	changed := old.DeepCopy()
	change(changed)
	c.admit(old, changed, canary.Review{User: "alice", FieldManager: fieldManager})
	require.NoError(c.t, c.store.Update(context.Background(), changed))
}

// run lets sluice and the native controllers work until nothing happens any more and nobody waits; a
// wait is over at once.
func (c *cluster) run() {
	c.t.Helper()
	if c.informer != nil {
		c.informer.run()
		return
	}
	for range 500 {
		native, written := c.native(), len(c.writes)
		c.woken = false
		result, err := c.once()
		c.now = c.now.Add(result.RequeueAfter)
		if err == nil && result.RequeueAfter == 0 && !native && !c.woken && written == len(c.writes) {
			return
		}
	}
	c.t.Fatalf("sluice does not come to rest; its last writes: %v", c.writes[max(0, len(c.writes)-10):])
}

func (c *cluster) workload() *unstructured.Unstructured {
	c.t.Helper()
	object := newObject(c.kind)
	require.NoError(c.t, c.store.Get(context.Background(), web, object))
	return object
}

func (c *cluster) release() *canary.Release {
	c.t.Helper()
	release, err := canary.DecodeRelease(c.workload().GetAnnotations())
	require.NoError(c.t, err)
	return release
}

func (c *cluster) replicaSets() []unstructured.Unstructured {
	c.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(replicaSetKind.GroupVersion().WithKind("ReplicaSetList"))
	require.NoError(c.t, c.store.List(context.Background(), list, client.InNamespace(web.Namespace)))
	return list.Items
}

func (c *cluster) records() []appsv1.ControllerRevision {
	c.t.Helper()
	list := &appsv1.ControllerRevisionList{}
	require.NoError(c.t, c.store.List(context.Background(), list, client.InNamespace(web.Namespace)))
	return list.Items
}
