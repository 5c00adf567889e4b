package ownership

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// step is one write of an object's past.
type step struct {
	manager string
	applies bool // server-side, with force
	scales  bool // through /scale
	edit    func(manifest)
}

func applied(manager string, edit func(manifest)) step {
	return step{manager: manager, applies: true, edit: edit}
}
func updated(manager string, edit func(manifest)) step { return step{manager: manager, edit: edit} }

// history returns the object after these writes, the first of which made it.
func (s server) history(t require.TestingT, steps ...step) manifest {
	live := s.empty()
	for _, step := range steps {
		next := unstructuredCopy(live).Object
		if step.applies {
			next = s.empty()
		}
		step.edit(next)
		var err error
		switch {
		case step.applies:
			live, err = s.apply(live, next, step.manager, true)
		case step.scales:
			live = scaled(t, s, live, next, step.manager)
		default:
			live = s.update(live, next, step.manager)
		}
		require.NoError(t, err)
	}
	set("6f1ad30c-98ba-4ef4-8a8d-1a2f6f9d5a10", "metadata", "uid")(live)
	set("1207", "metadata", "resourceVersion")(live)
	return live
}

func (s server) empty() manifest {
	return manifest{"apiVersion": s.kind.GroupVersion().String(), "kind": s.kind.Kind, "metadata": manifest{"name": "web", "namespace": "shop"}}
}

// scaled is a write to /scale, which the API server enters in the object that is scaled.
func scaled(t require.TestingT, s server, live, next manifest, manager string) manifest {
	handler := managedfields.NewScaleHandler(claims(live), s.kind.GroupVersion(), managedfields.ResourcePathMappings{"apps/v1": replicas})
	before, err := handler.ToSubresource()
	require.NoError(t, err)
	scaleOf := func(o manifest) manifest {
		number, _, _ := unstructured.NestedInt64(o, "spec", "replicas")
		return manifest{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": manifest{"name": "web", "namespace": "shop", "uid": "1"}, "spec": manifest{"replicas": number}}
	}
	kind := schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}
	scales, err := managedfields.NewDefaultFieldManager(managedfields.NewDeducedTypeConverter(), oneVersion{}, oneVersion{}, oneVersion{}, kind, kind.GroupVersion(), scale, nil)
	require.NoError(t, err)
	out, err := scales.Update(unstructuredCopy(withClaims(scaleOf(live), before)), unstructuredCopy(withClaims(scaleOf(next), before)), manager)
	require.NoError(t, err)
	entries, err := handler.ToParent(out.(*unstructured.Unstructured).GetManagedFields())
	require.NoError(t, err)
	return withClaims(next, entries)
}

// things is a custom resource with every kind of structure; manyThings is one whose struct is atomic.
var things, atomicThings = newServer(thing, schemaOf("granular")), newServer(thing, schemaOf("atomic"))

// unknowns is a custom resource without a schema.
var unknowns = newServer(thing, managedfields.NewDeducedTypeConverter())

var thing = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}

type schemaTypes struct{ typed.ParseableType }

func (s schemaTypes) ObjectToTyped(o runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	return s.FromUnstructured(o.(*unstructured.Unstructured).Object, options...)
}

func (schemaTypes) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	return &unstructured.Unstructured{Object: v.AsValue().Unstructured().(manifest)}, nil
}

func schemaOf(structure string) managedfields.TypeConverter {
	parser, err := typed.NewParser(typed.YAMLObject(`types:
- name: thing
  map:
    fields:
    - {name: apiVersion, type: {scalar: string}}
    - {name: kind, type: {scalar: string}}
    - {name: metadata, type: {namedType: metadata}}
    - {name: spec, type: {namedType: spec}}
    - {name: status, type: {namedType: free}}
- name: metadata
  map:
    fields:
    - {name: name, type: {scalar: string}}
    - {name: namespace, type: {scalar: string}}
    - {name: uid, type: {scalar: string}}
    - {name: managedFields, type: {namedType: free}}
    - {name: resourceVersion, type: {scalar: string}}
    - {name: labels, type: {map: {elementType: {scalar: string}}}}
    - {name: annotations, type: {map: {elementType: {scalar: string}}}}
    - {name: finalizers, type: {namedType: set}}
- name: spec
  map:
    fields:
    - {name: replicas, type: {scalar: numeric}}
    - {name: text, type: {scalar: string}}
    - {name: list, type: {namedType: list}}
    - {name: set, type: {namedType: set}}
    - {name: atomicMap, type: {map: {elementRelationship: atomic, elementType: {scalar: string}}}}
    - {name: mapOfLists, type: {map: {elementType: {namedType: set}}}}
    - {name: mapOfMaps, type: {map: {elementType: {map: {elementType: {scalar: string}}}}}}
    - {name: listOfLists, type: {list: {elementRelationship: associative, keys: [name], elementType: {namedType: listItem}}}}
    - {name: struct, type: {namedType: struct}}
    - {name: free, type: {namedType: free}}
- name: list
  list: {elementRelationship: associative, keys: [name], elementType: {namedType: item}}
- name: item
  map: {fields: [{name: name, type: {scalar: string}}, {name: value, type: {scalar: numeric}}]}
- name: listItem
  map: {fields: [{name: name, type: {scalar: string}}, {name: values, type: {namedType: set}}]}
- name: set
  list: {elementRelationship: associative, elementType: {scalar: string}}
- name: struct
  map:
    elementRelationship: ` + map[string]string{"granular": "separable", "atomic": "atomic"}[structure] + `
    fields: [{name: number, type: {scalar: numeric}}, {name: word, type: {scalar: string}}]
- name: free
  scalar: untyped
  list: {elementRelationship: atomic, elementType: {namedType: free}}
  map: {elementRelationship: separable, elementType: {namedType: free}}
`))
	if err != nil {
		panic(err)
	}
	return schemaTypes{parser.Type("thing")}
}

func reclaimed(entries []metav1.ManagedFieldsEntry, manager, version string, fields []string) []metav1.ManagedFieldsEntry {
	held := &fieldpath.Set{}
	for _, field := range fields {
		var steps []any
		for _, name := range strings.Split(field, ".") {
			steps = append(steps, name)
		}
		held.Insert(fieldpath.MakePathOrDie(steps...))
	}
	for i := range entries {
		if entries[i].Manager == manager {
			entries[i] = claim(Owner{Manager: manager, Operation: string(entries[i].Operation), APIVersion: version}, held)
		}
	}
	return entries
}

func decodedObject(raw []byte) manifest {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		panic(err)
	}
	return u.Object
}

// panics is for helpers outside tests.
type panics struct{}

func (panics) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (panics) FailNow()                          { panic("failed") }
