package owners

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref names an object of any kind.
type Ref struct {
	Mapping *meta.RESTMapping
	// Namespace is empty where the kind has none.
	Namespace string
	Name      string
}

// String names the object as kubectl says what it did: "deployment.apps/web".
func (r Ref) String() string {
	return KindWord(r.Mapping) + "/" + r.Name
}

// KindWord is the kind as kubectl says it: "deployment.apps", "configmap".
func KindWord(m *meta.RESTMapping) string {
	word := strings.ToLower(m.GroupVersionKind.Kind)
	if group := m.Resource.Group; group != "" {
		word += "." + group
	}
	return word
}

// where is " in namespace shop", empty where the kind has none.
func (r Ref) where() string {
	if r.Namespace == "" {
		return ""
	}
	return " in namespace " + r.Namespace
}

// Is tells whether two name the same object, whatever versions of its kind they say.
func (r Ref) Is(other Ref) bool {
	return r.Mapping.Resource.GroupResource() == other.Mapping.Resource.GroupResource() && r.Namespace == other.Namespace && r.Name == other.Name
}

func refOf(m *meta.RESTMapping, namespace, name string) Ref {
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		namespace = ""
	}
	return Ref{Mapping: m, Namespace: namespace, Name: name}
}

// Parse reads one object from arguments as kubectl takes them: "svc/web" or "service web".
func Parse(mapper meta.RESTMapper, args []string, namespace string) (Ref, error) {
	if len(args) == 0 {
		return Ref{}, fmt.Errorf("whose owners? Name an object like deployment/web or configmap/web, or give a file with -f")
	}
	kind, name, slashed := strings.Cut(args[0], "/")
	switch {
	case len(args) > 2, len(args) == 2 && slashed:
		return Ref{}, fmt.Errorf("%s: one object at a time", strings.Join(args, " "))
	case len(args) == 2:
		name = args[1]
	case !slashed:
		return Ref{}, fmt.Errorf("of what kind is %q, or which %s is it? Name it like deployment/web", kind, kind)
	}
	if kind == "" || name == "" || strings.Contains(name, "/") {
		return Ref{}, fmt.Errorf("%q is not an object: name it like deployment/web", strings.Join(args, " "))
	}
	mapping, err := Mapping(mapper, kind)
	if err != nil {
		return Ref{}, err
	}
	return refOf(mapping, namespace, name), nil
}

// Mapping returns the kind of a word as kubectl takes it: deploy, Deployment, deployments.v1.apps.
func Mapping(mapper meta.RESTMapper, word string) (*meta.RESTMapping, error) {
	full, resource := schema.ParseResourceArg(word)
	candidates := []schema.GroupVersionResource{resource.WithVersion("")}
	if full != nil {
		candidates = append([]schema.GroupVersionResource{*full}, candidates...)
	}
	var failure error
	for _, candidate := range candidates {
		kind, err := mapper.KindFor(candidate)
		if err == nil {
			return mapper.RESTMapping(kind.GroupKind(), kind.Version)
		}
		if !meta.IsNoMatchError(err) {
			failure = err
		}
	}
	fullKind, groupKind := schema.ParseKindArg(word)
	if fullKind == nil {
		kind := groupKind.WithVersion("")
		fullKind = &kind
	}
	for _, kind := range []schema.GroupVersionKind{*fullKind, groupKind.WithVersion("")} {
		if mapping, err := mapper.RESTMapping(kind.GroupKind(), versions(kind)...); err == nil {
			return mapping, nil
		} else if !meta.IsNoMatchError(err) {
			failure = err
		}
	}
	if failure != nil {
		return nil, fmt.Errorf("finding the kind %q: %w", word, failure)
	}
	return nil, fmt.Errorf("the API server has no kind %q; kubectl api-resources lists them", word)
}

func versions(kind schema.GroupVersionKind) []string {
	if kind.Version == "" {
		return nil
	}
	return []string{kind.Version}
}
