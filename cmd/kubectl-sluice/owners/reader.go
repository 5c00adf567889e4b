package owners

import (
	"context"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"sluice.dev/sluice/webhook/ownership"
)

// Object is one of the cluster's with the claims to its fields.
type Object struct {
	Ref
	ownership.Holdings
	// Missing: it does not exist, so nobody owns anything.
	Missing bool
	// Unchecked is why sluice does not look at writes to it, empty where it does.
	Unchecked string
	// Unread is why it is not known what holds: the user may not read the Namespace, or sluice's webhooks.
	Unread error
}

// Reader reads objects with the rights of the client's user.
type Reader struct {
	client     dynamic.Interface
	namespaces map[string]namespace
	rules      *[]admissionregistrationv1.RuleWithOperations // nil: not read yet
}

// namespace is one that was read, or not.
type namespace struct {
	labels, annotations map[string]string
	unread              error
}

// NewReader returns a reader.
func NewReader(client dynamic.Interface) *Reader {
	return &Reader{client: client, namespaces: map[string]namespace{}}
}

// Read returns an object; one that does not exist is Missing.
func (r *Reader) Read(ctx context.Context, ref Ref) (*Object, error) {
	live, err := r.resource(ref).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &Object{Ref: ref, Missing: true}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s%s: %w", ref, ref.where(), err)
	}
	ns, err := r.namespace(ctx, ref.Namespace)
	if err != nil {
		return nil, err
	}
	raw, err := live.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", ref, err)
	}
	holdings, err := ownership.Claims(raw, ns.annotations, ownership.Operator{})
	if err != nil {
		return nil, fmt.Errorf("reading the owners of %s%s: %w", ref, ref.where(), err)
	}
	o := &Object{Ref: ref, Holdings: holdings}
	o.Unchecked, o.Unread, err = r.unchecked(ctx, ref, live, ns)
	return o, err
}

func (r *Reader) resource(ref Ref) dynamic.ResourceInterface {
	if ref.Namespace == "" {
		return r.client.Resource(ref.Mapping.Resource)
	}
	return r.client.Resource(ref.Mapping.Resource).Namespace(ref.Namespace)
}

// namespace reads the labels and annotations of a Namespace, once. That the user may not is no error.
func (r *Reader) namespace(ctx context.Context, name string) (namespace, error) {
	if found, ok := r.namespaces[name]; ok || name == "" {
		return found, nil
	}
	var ns namespace
	object, err := r.client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		ns.unread = fmt.Errorf("what holds in namespace %s is not known: %w", name, err)
	case err != nil:
		return ns, fmt.Errorf("reading namespace %s: %w", name, err)
	default:
		ns.labels, ns.annotations = object.GetLabels(), object.GetAnnotations()
	}
	r.namespaces[name] = ns
	return ns, nil
}

// Explain says that an object does not exist, and where to look.
func (o *Object) Explain() error {
	in := ""
	if o.Namespace != "" {
		in = " -n " + o.Namespace
	}
	return fmt.Errorf("%s does not exist%s; look with: kubectl get %s%s", o.Ref, o.where(), o.Mapping.Resource.Resource, in)
}

// MappingOf returns the kind of an object of a file.
func MappingOf(mapper meta.RESTMapper, object *unstructured.Unstructured) (*meta.RESTMapping, error) {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return nil, errors.New("the API server has no such kind; where it is a custom one, its definition comes first")
	}
	return mapping, err
}
