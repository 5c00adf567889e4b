package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/hashing/live"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// keys is a keyring without a cluster.
type keys struct {
	hashing.Keyring
	fault error // of verifying with a key that is not known
}

func (k *keys) Digest(_ context.Context, previous, namespace string, refs []hashing.Reference, objects []hashing.Object) (string, error) {
	digest, err := k.Keyring.Digest(previous, namespace, refs, objects)
	if err != nil && k.fault != nil {
		return "", fmt.Errorf("%w; %w", err, k.fault) // as live.Keyring says it
	}
	return digest, err
}

func (k *keys) See(_ context.Context, namespace string, refs []hashing.Reference, objects []hashing.Object) (hashing.Seen, error) {
	return k.Keyring.See(namespace, refs, objects)
}

func (k *keys) Difference(_ context.Context, before hashing.Seen, namespace string, refs []hashing.Reference, objects []hashing.Object) (map[string][]string, error) {
	return k.Keyring.Difference(before, namespace, refs, objects)
}

func keyOf(t testing.TB, b byte) hashing.Key {
	key, err := hashing.NewKey(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	require.NoError(t, err)
	return key
}

// ringOf has the keys of these bytes, the last one current.
func ringOf(t testing.TB, first byte, others ...byte) hashing.Keyring {
	ring := hashing.NewKeyring(keyOf(t, first))
	for _, b := range others {
		ring = ring.Rotated(keyOf(t, b))
	}
	return ring
}

// shopCluster is an API server with sluice's admission in front of the workloads. Nothing in it moves by itself.
type shopCluster struct {
	t         testing.TB
	store     client.WithWatch
	keys      *keys
	now       time.Time
	stale     []client.Object // what the cache shows of workloads instead of what is stored; nil: what is stored
	calls     int
	fault     func(call int, write, applied bool) error
	patches   []string // as sent
	digests   []string // that a template got, in order
	options   []client.PatchOption
	recorder  *events.FakeRecorder
	reconcile *reconciler
	spared    map[string]bool
	optedOut  bool // the Namespace has not opted in
}

func newCluster(t testing.TB, objects ...client.Object) *shopCluster {
	c := &shopCluster{t: t, keys: &keys{Keyring: ringOf(t, 1)}, now: noon, spared: map[string]bool{}}
	c.store = fake.NewClientBuilder().WithObjects(objects...).Build()
	c.restart()
	return c
}

// restart starts the controller anew, with nothing in memory.
func (c *shopCluster) restart() {
	c.recorder = events.NewFakeRecorder(10000)
	u := users{cacheOf{shopCluster: c}}
	c.reconcile = &reconciler{
		live:  interceptor.NewClient(c.store, interceptor.Funcs{Get: c.get, Patch: c.patch, SubResourcePatch: c.patchStatus}),
		users: u, keyring: c.keys,
		recorder: c.recorder, rations: newRations(u, DefaultAtOnce), renotes: newRenotes(), spared: c.spared, settle: DefaultSettleTime,
		now: func() time.Time { return c.now },
	}
}

func (c *shopCluster) called(write, applied bool) error {
	if !applied {
		c.calls++
	}
	if c.fault == nil {
		return nil
	}
	return c.fault(c.calls, write, applied)
}

func (c *shopCluster) get(ctx context.Context, s client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if err := c.called(false, false); err != nil {
		return err
	}
	return s.Get(ctx, key, object, opts...)
}

// patch is a write of sluice's controller, through admission.
func (c *shopCluster) patch(ctx context.Context, s client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := c.called(true, false); err != nil {
		return err
	}
	data, err := patch.Data(object)
	require.NoError(c.t, err)
	c.patches, c.options = append(c.patches, string(data)), opts
	var sent struct {
		Metadata struct {
			ResourceVersion string
			Annotations     map[string]string
		}
	}
	require.NoError(c.t, json.Unmarshal(data, &sent))
	stored := &unstructured.Unstructured{}
	stored.SetGroupVersionKind(object.GetObjectKind().GroupVersionKind())
	if err := s.Get(ctx, client.ObjectKeyFromObject(object), stored); err != nil {
		return err
	}
	if sent.Metadata.ResourceVersion != stored.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{Group: "apps", Resource: "deployments"}, object.GetName(), errors.New("it has changed"))
	}
	changed := stored.DeepCopy()
	for key, value := range sent.Metadata.Annotations {
		annotate(changed, key, &value)
	}
	if err := c.admit(ctx, stored, changed); err != nil {
		return err
	}
	require.NoError(c.t, s.Update(ctx, changed))
	object.(*unstructured.Unstructured).Object = changed.Object
	return c.called(true, true)
}

// patchStatus is a write of sluice's controller past admission.
func (c *shopCluster) patchStatus(
	ctx context.Context, _ client.Client, resource string, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption,
) error {
	require.Equal(c.t, "status", resource)
	if err := c.called(true, false); err != nil {
		return err
	}
	require.NoError(c.t, c.store.Status().Patch(ctx, object, patch))
	return c.called(true, true)
}

// admit is what webhook does with the write.
func (c *shopCluster) admit(ctx context.Context, stored, changed *unstructured.Unstructured) error {
	review := canary.Review{
		Operation: canary.Update, Kind: stored.GetKind(), Old: decoded(c.t, stored), New: decoded(c.t, changed), User: "sluice", Sluice: true,
	}
	var namespace corev1.Namespace
	require.NoError(c.t, c.store.Get(ctx, types.NamespacedName{Name: stored.GetNamespace()}, &namespace))
	world := canary.World{NamespaceAnnotations: namespace.Annotations, OptedOut: namespace.Labels[canary.EnabledLabel] != "true"}
	world.Digest = c.digest(ctx, review, namespace.Annotations)
	d, err := canary.Decide(review, world)
	require.NoError(c.t, err)
	if d.Verdict == canary.Denied {
		return apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, stored.GetName(), errors.New(d.Message))
	}
	c.apply(d.Want, changed)
	return nil
}

func (c *shopCluster) digest(ctx context.Context, review canary.Review, namespace map[string]string) string {
	used, err := canary.Config(review, namespace)
	require.NoError(c.t, err)
	refs := used.References
	objects, err := live.Read(ctx, c.store, review.New.Metadata.Namespace, refs)
	require.NoError(c.t, err)
	known, err := canary.KnownConfig(review)
	require.NoError(c.t, err)
	verifiable := false
	for _, k := range known {
		if digest, err := c.keys.Keyring.Digest(k.Digest, "shop", refs, objects); err == nil && k.Digest != "" {
			if verifiable = true; digest == k.Digest {
				return k.Means
			}
		}
	}
	old, err := canary.TemplateDigest(review.Old.Spec.Template)
	require.NoError(c.t, err)
	if !verifiable && old != "" {
		return old
	}
	digest, err := c.keys.Keyring.Digest("", "shop", refs, objects)
	require.NoError(c.t, err)
	return digest
}

func (c *shopCluster) apply(want *canary.Want, o *unstructured.Unstructured) {
	for key, value := range want.Annotations {
		annotate(o, key, value)
	}
	labels := o.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	for key, value := range want.Labels {
		if delete(labels, key); value != nil {
			labels[key] = *value
		}
	}
	o.SetLabels(labels)
	if want.Paused != nil {
		require.NoError(c.t, unstructured.SetNestedField(o.Object, *want.Paused, "spec", "paused"))
	}
	if want.Partition != nil {
		require.NoError(c.t, unstructured.SetNestedField(o.Object, int64(*want.Partition), "spec", "updateStrategy", "rollingUpdate", "partition"))
	}
	path := []string{"spec", "template", "metadata", "annotations", hashing.AnnotationConfigHash}
	before, _, _ := unstructured.NestedString(o.Object, path...)
	if want.Digest == nil || *want.Digest == before {
		return
	}
	o.SetGeneration(o.GetGeneration() + 1)
	c.digests = append(c.digests, *want.Digest)
	unstructured.RemoveNestedField(o.Object, path...)
	if *want.Digest != "" {
		require.NoError(c.t, unstructured.SetNestedField(o.Object, *want.Digest, path...))
	}
}

func annotate(o *unstructured.Unstructured, key string, value *string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	if delete(annotations, key); value != nil {
		annotations[key] = *value
	}
	o.SetAnnotations(annotations)
}

func decoded(t testing.TB, object any) *canary.Workload {
	raw, err := json.Marshal(object)
	require.NoError(t, err)
	w, err := canary.DecodeWorkload(raw)
	require.NoError(t, err)
	return w
}

// cacheOf is the cache of the workloads of a cluster.
type cacheOf struct {
	cache.Cache
	*shopCluster
}

// Get finds a Namespace that has opted in, or a workload.
func (c cacheOf) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*metav1.PartialObjectMetadata); ok {
		if c.optedOut {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, key.Name)
		}
		return c.store.Get(ctx, key, object, opts...)
	}
	if err := c.store.Get(ctx, key, object, opts...); err != nil {
		return err
	}
	short, err := strip(object)
	if err != nil {
		return err
	}
	kept, _ := short.(client.Object)
	object.SetAnnotations(kept.GetAnnotations())
	return nil
}

func (c cacheOf) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	for _, opt := range opts {
		opt.ApplyToList(&o)
	}
	if err := c.store.List(ctx, list, client.InNamespace(o.Namespace)); err != nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	var kept []runtime.Object
	for _, item := range items {
		object, _ := item.(client.Object)
		for _, old := range c.stale {
			if old.GetName() == object.GetName() {
				object = old.DeepCopyObject().(client.Object)
			}
		}
		short, err := strip(object)
		if err != nil {
			return err
		}
		uses, _ := short.(client.Object)
		if o.FieldSelector != nil {
			want, _ := o.FieldSelector.RequiresExactMatch(usesField)
			if !slices.Contains(strings.Fields(uses.GetAnnotations()[usesAnnotation]), want) {
				continue
			}
		}
		kept = append(kept, uses)
	}
	return meta.SetList(list, kept)
}

// shop has opted in.
func shop() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{canary.EnabledLabel: "true"}}}
}

func configMap(name, color string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: map[string]string{"color": color, "size": "1"}}
}

func podTemplate(names ...string) corev1.PodTemplateSpec {
	var from []corev1.EnvFromSource
	for _, name := range names {
		from = append(from, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1", EnvFrom: from}}},
	}
}

// deployment is one of three pods, all available, that uses ConfigMaps.
func deployment(name string, configs ...string) *appsv1.Deployment {
	three := int32(3)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: canary.Deployment},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &three, Template: podTemplate(configs...),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType},
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3},
	}
}

func daemonSet(name string, configs ...string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: canary.DaemonSet},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1},
		Spec: appsv1.DaemonSetSpec{
			Template: podTemplate(configs...), UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType},
		},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: 3},
	}
}

func named(kind, name string) workload {
	return workload{kind, types.NamespacedName{Namespace: "shop", Name: name}}
}

// look lets the controller look once.
func (c *shopCluster) look(w workload) (reconcile.Result, error) {
	return c.reconcile.Reconcile(context.Background(), w)
}

// looks lets the controller look until it has nothing to write.
func (c *shopCluster) looks(w workload) {
	for range 10 {
		before := len(c.patches)
		_, err := c.look(w)
		require.NoError(c.t, err)
		if len(c.patches) == before {
			return
		}
	}
	require.Fail(c.t, "it writes in a loop", "%v", c.patches)
}

func (c *shopCluster) edit(name, color string) {
	var stored corev1.ConfigMap
	require.NoError(c.t, c.store.Get(context.Background(), types.NamespacedName{Namespace: "shop", Name: name}, &stored))
	stored.Data["color"] = color
	require.NoError(c.t, c.store.Update(context.Background(), &stored))
}

func (c *shopCluster) deployment(name string) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	require.NoError(c.t, c.store.Get(context.Background(), types.NamespacedName{Namespace: "shop", Name: name}, d))
	return d
}

func (c *shopCluster) daemonSet(name string) *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{}
	require.NoError(c.t, c.store.Get(context.Background(), types.NamespacedName{Namespace: "shop", Name: name}, d))
	return d
}

// change changes the stored release, as sluice's other controller does.
func (c *shopCluster) change(name string, change func(*canary.Release)) {
	d := c.deployment(name)
	r, err := canary.DecodeRelease(d.Annotations)
	require.NoError(c.t, err)
	require.NotNil(c.t, r)
	change(r)
	d.Annotations[canary.ReleaseAnnotation], d.Labels[canary.PhaseLabel] = r.Encode(), string(r.Phase)
	require.NoError(c.t, c.store.Update(context.Background(), d))
}

func (c *shopCluster) told() []string {
	var told []string
	for {
		select {
		case event := <-c.recorder.Events:
			told = append(told, event)
		default:
			return told
		}
	}
}
