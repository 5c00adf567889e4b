package ownership

import (
	"encoding/json"
	"errors"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// server does with managedFields what the API server does before it calls webhooks: with its own code.
type server struct {
	kind  schema.GroupVersionKind
	types managedfields.TypeConverter
	main  *managedfields.FieldManager
	// scale writes as a subresource.
	scale *managedfields.FieldManager
}

// manifest is an object as JSON decodes it.
type manifest = map[string]any

var deployments = newServer(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
	applyconfigurations.NewTypeConverter(scheme.Scheme))

func newServer(kind schema.GroupVersionKind, types managedfields.TypeConverter) server {
	reset := map[fieldpath.APIVersion]fieldpath.Filter{
		fieldpath.APIVersion(kind.GroupVersion().String()): fieldpath.NewExcludeSetFilter(fieldpath.NewSet(fieldpath.MakePathOrDie("status"))),
	}
	manager := func(subresource string) *managedfields.FieldManager {
		m, err := managedfields.NewDefaultFieldManager(types, oneVersion{}, oneVersion{}, oneVersion{}, kind, kind.GroupVersion(), subresource, reset)
		if err != nil {
			panic(err)
		}
		return m
	}
	return server{kind: kind, types: types, main: manager(""), scale: manager(scale)}
}

// oneVersion converts between versions of one version.
type oneVersion struct{}

func (oneVersion) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	u := &unstructured.Unstructured{Object: manifest{}}
	u.SetGroupVersionKind(kind)
	return u, nil
}
func (oneVersion) Default(runtime.Object)    {}
func (oneVersion) Convert(_, _, _ any) error { return errors.New("unused") }
func (oneVersion) ConvertToVersion(in runtime.Object, version runtime.GroupVersioner) (runtime.Object, error) {
	if kind := in.GetObjectKind().GroupVersionKind(); version.Identifier() != kind.GroupVersion().Identifier() {
		return nil, runtime.NewNotRegisteredErrForTarget("test", nil, version)
	}
	return in, nil
}
func (oneVersion) ConvertFieldLabel(schema.GroupVersionKind, string, string) (string, string, error) {
	return "", "", errors.New("unused")
}

func unstructuredCopy(content manifest) *unstructured.Unstructured {
	return (&unstructured.Unstructured{Object: content}).DeepCopy()
}

// update is a PUT or a patch: it stores the object whole.
func (s server) update(live, content manifest, manager string) manifest {
	out, err := s.main.Update(unstructuredCopy(live), unstructuredCopy(content), manager)
	if err != nil {
		panic(err)
	}
	return out.(*unstructured.Unstructured).Object
}

// apply is a server-side apply.
func (s server) apply(live, config manifest, manager string, force bool) (manifest, error) {
	applied := unstructuredCopy(config)
	for _, field := range []string{"managedFields", "uid", "resourceVersion"} {
		unstructured.RemoveNestedField(applied.Object, "metadata", field)
	}
	out, err := s.main.Apply(unstructuredCopy(live), applied, manager, force)
	if err != nil {
		return nil, err
	}
	return out.(*unstructured.Unstructured).Object, nil
}

// fieldSet returns what an applier of the content owns.
func (s server) fieldSet(content manifest) *fieldpath.Set {
	value, err := s.types.ObjectToTyped(&unstructured.Unstructured{Object: content}, typed.AllowDuplicates)
	if err != nil {
		panic(err)
	}
	set, err := value.ToFieldSet()
	if err != nil {
		panic(err)
	}
	return set.Difference(fieldpath.NewSet(fieldpath.MakePathOrDie("apiVersion"), fieldpath.MakePathOrDie("kind"),
		fieldpath.MakePathOrDie("metadata", "name"), fieldpath.MakePathOrDie("metadata", "namespace"), fieldpath.MakePathOrDie("metadata", "uid"),
		fieldpath.MakePathOrDie("metadata", "resourceVersion")))
}

// claim returns an entry of managedFields.
func claim(o Owner, set *fieldpath.Set) metav1.ManagedFieldsEntry {
	fields, err := set.ToJSON()
	if err != nil {
		panic(err)
	}
	version := o.APIVersion
	if version == "" {
		version = "apps/v1"
	}
	return metav1.ManagedFieldsEntry{
		Manager: o.Manager, Operation: metav1.ManagedFieldsOperationType(o.Operation), APIVersion: version, Subresource: o.Subresource,
		FieldsType: fieldsV1, FieldsV1: metav1.NewFieldsV1(string(fields)),
	}
}

func claims(content manifest) []metav1.ManagedFieldsEntry {
	return (&unstructured.Unstructured{Object: content}).GetManagedFields()
}

func withClaims(content manifest, entries []metav1.ManagedFieldsEntry) manifest {
	u := unstructuredCopy(content)
	u.SetManagedFields(entries)
	return u.Object
}

func raw(t require.TestingT, content manifest) json.RawMessage {
	encoded, err := json.Marshal(content)
	require.NoError(t, err)
	return encoded
}
