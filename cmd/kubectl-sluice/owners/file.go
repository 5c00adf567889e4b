package owners

import (
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
)

// Filed is an object of a file.
type Filed struct {
	Ref
	Object *unstructured.Unstructured
}

// Files are where objects come from.
type Files struct {
	// Names of files, folders and URLs; "-" is In.
	Names     []string
	Recursive bool
	In        io.Reader
	// Namespace of objects that name none; where it is Explicit, those of another are refused.
	Namespace string
	Explicit  bool
}

// Read returns the objects of all files, in their order.
func (f Files) Read(mapper meta.RESTMapper) ([]Filed, error) {
	var names []string
	b := resource.NewLocalBuilder().Unstructured().Flatten()
	for _, name := range f.Names {
		if name == "-" {
			b = b.Stream(f.In, "stdin")
			continue
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		b = b.FilenameParam(false, &resource.FilenameOptions{Filenames: names, Recursive: f.Recursive})
	}
	infos, err := b.Do().Infos()
	if err != nil {
		return nil, fmt.Errorf("reading what is to be written: %w", err)
	}
	var filed []Filed
	for _, info := range infos {
		one, err := f.object(mapper, info)
		if err != nil {
			return nil, err
		}
		filed = append(filed, one)
	}
	if len(filed) == 0 {
		return nil, errors.New("the files hold no object")
	}
	return filed, nil
}

func (f Files) object(mapper meta.RESTMapper, info *resource.Info) (Filed, error) {
	object, ok := info.Object.(*unstructured.Unstructured)
	if !ok {
		return Filed{}, fmt.Errorf("this is a bug: %s holds a %T", info.Source, info.Object)
	}
	said := fmt.Sprintf("%s %q of %s", object.GetKind(), object.GetName(), info.Source)
	if object.GetName() == "" {
		return Filed{}, fmt.Errorf("%s has no name: what is to be generated has no owners", said)
	}
	mapping, err := MappingOf(mapper, object)
	if err != nil {
		return Filed{}, fmt.Errorf("%s: %w", said, err)
	}
	namespace := object.GetNamespace()
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return Filed{Ref: refOf(mapping, "", object.GetName()), Object: object}, nil
	}
	if namespace == "" {
		namespace = f.Namespace
		object.SetNamespace(namespace)
	}
	if f.Explicit && namespace != f.Namespace {
		return Filed{}, fmt.Errorf("%s is of namespace %s, and -n says %s", said, namespace, f.Namespace)
	}
	return Filed{Ref: refOf(mapping, namespace, object.GetName()), Object: object}, nil
}
