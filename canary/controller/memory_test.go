package controller

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memory is the store of an API server that forgets nothing: each write makes another state, so that a
// reader can be shown an old one. Objects are kept as they were written, with fields that no library knows.
// The fake client of controller-runtime does more, and takes ten times as long.
type memory struct {
	client.WithWatch // what nobody here calls
	past
	states []past
	routes []schema.GroupVersionKind // kinds that are known
}

// past is one state of the store: objects by kind, namespace and name. Nobody changes it.
type past map[string]client.Object

func newMemory(objects ...client.Object) *memory {
	m := &memory{past: past{}}
	for _, object := range objects {
		m.store(object)
	}
	return m
}

func kindOf(object runtime.Object) string {
	if kind := object.GetObjectKind().GroupVersionKind().Kind; kind != "" {
		return kind
	}
	return reflect.TypeOf(object).Elem().Name()
}

func keyOf(object client.Object, key client.ObjectKey) string {
	return kindOf(object) + " " + key.String()
}

// RESTMapper knows routes alone.
func (m *memory) RESTMapper() meta.RESTMapper {
	var groups []schema.GroupVersion
	for _, kind := range m.routes {
		groups = append(groups, kind.GroupVersion())
	}
	mapper := meta.NewDefaultRESTMapper(groups)
	for _, kind := range m.routes {
		mapper.Add(kind, meta.RESTScopeNamespace)
	}
	return mapper
}

// store keeps the object in a new state, under a new resourceVersion.
func (m *memory) store(object client.Object) {
	object.SetResourceVersion(strconv.Itoa(len(m.states) + 1))
	next := maps.Clone(m.past)
	next[keyOf(object, client.ObjectKeyFromObject(object))] = object.DeepCopyObject().(client.Object)
	m.become(next)
}

func (m *memory) remove(object client.Object) {
	next := maps.Clone(m.past)
	delete(next, keyOf(object, client.ObjectKeyFromObject(object)))
	m.become(next)
}

func (m *memory) become(next past) { m.past, m.states = next, append(m.states, next) }

func (m *memory) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	return m.past.Get(ctx, key, object, opts...)
}

func (m *memory) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return m.past.List(ctx, list, opts...)
}

func (p past) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	found, ok := p[keyOf(object, key)]
	if !ok {
		return apierrors.NewNotFound(resourceOf(object), key.Name)
	}
	reflect.ValueOf(object).Elem().Set(reflect.ValueOf(found.DeepCopyObject()).Elem())
	return nil
}

func (p past) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var wanted client.ListOptions
	wanted.ApplyOptions(opts)
	if wanted.LabelSelector == nil {
		wanted.LabelSelector = labels.Everything()
	}
	items := reflect.ValueOf(list).Elem().FieldByName("Items")
	items.SetZero()
	prefix := strings.TrimSuffix(kindOf(list), "List") + " " + wanted.Namespace + "/"
	for _, key := range slices.Sorted(maps.Keys(p)) {
		if strings.HasPrefix(key, prefix) && wanted.LabelSelector.Matches(labels.Set(p[key].GetLabels())) {
			items.Set(reflect.Append(items, reflect.ValueOf(p[key].DeepCopyObject()).Elem()))
		}
	}
	return nil
}

func (m *memory) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	if _, ok := m.past[keyOf(object, client.ObjectKeyFromObject(object))]; ok {
		return apierrors.NewAlreadyExists(resourceOf(object), object.GetName())
	}
	m.store(object)
	return nil
}

// Update honours a resourceVersion, and what waits for its last finalizer goes with it.
func (m *memory) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	stored, err := m.stored(object)
	switch {
	case err != nil:
		return err
	case stored.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0:
		m.remove(object)
	default:
		m.store(object)
	}
	return nil
}

func (m *memory) Delete(_ context.Context, object client.Object, _ ...client.DeleteOption) error {
	stored, ok := m.past[keyOf(object, client.ObjectKeyFromObject(object))]
	switch {
	case !ok:
		return apierrors.NewNotFound(resourceOf(object), object.GetName())
	case len(stored.GetFinalizers()) == 0:
		m.remove(object)
	case stored.GetDeletionTimestamp() == nil:
		stored = stored.DeepCopyObject().(client.Object)
		stored.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
		m.store(stored)
	}
	return nil
}

// stored returns what an update is about to replace.
func (m *memory) stored(object client.Object) (client.Object, error) {
	stored, ok := m.past[keyOf(object, client.ObjectKeyFromObject(object))]
	if !ok {
		return nil, apierrors.NewNotFound(resourceOf(object), object.GetName())
	}
	if v := object.GetResourceVersion(); v != "" && v != stored.GetResourceVersion() {
		return nil, apierrors.NewConflict(resourceOf(object), object.GetName(), fmt.Errorf("the object has been modified"))
	}
	return stored, nil
}

func (m *memory) Status() client.SubResourceWriter { return m.SubResource("status") }

func (m *memory) SubResource(string) client.SubResourceClient { return status{memory: m} }

// status is the subresource of that name.
type status struct {
	client.SubResourceClient
	memory *memory
}

func (s status) Update(_ context.Context, object client.Object, _ ...client.SubResourceUpdateOption) error {
	stored, err := s.memory.stored(object)
	if err != nil {
		return err
	}
	s.keep(stored, object)
	return nil
}

// keep stores the status of one object in the other.
func (s status) keep(stored, from client.Object) {
	changed := stored.DeepCopyObject().(client.Object)
	if u, ok := changed.(*unstructured.Unstructured); ok {
		u.Object["status"] = from.(*unstructured.Unstructured).Object["status"]
	} else {
		field := reflect.ValueOf(changed).Elem().FieldByName("Status")
		field.Set(reflect.ValueOf(from.DeepCopyObject()).Elem().FieldByName("Status"))
	}
	s.memory.store(changed)
}

func resourceOf(object client.Object) schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: strings.ToLower(kindOf(object)) + "s"}
}
