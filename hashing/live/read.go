package live

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/hashing"
)

// readsAtOnce bounds the requests of one Read, so that one workload with many references does not use up the client's
// rate limit before the others' first read.
const readsAtOnce = 8

// Read gets each referenced object once and returns those that exist, in the order of the references. The first failure
// ends it, with an error that names the object. It returns no later than the deadline of ctx.
func Read(ctx context.Context, c client.Reader, namespace string, refs []hashing.Reference) ([]hashing.Object, error) {
	found := make([]*hashing.Object, len(refs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, ref := range refs {
		group.Go(func() error {
			object, err := read(ctx, c, types.NamespacedName{Namespace: namespace, Name: ref.Name}, ref.Kind)
			found[i] = object
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	objects := make([]hashing.Object, 0, len(found))
	for _, object := range found {
		if object != nil {
			objects = append(objects, *object)
		}
	}
	return objects, nil
}

// read returns nil without an error if the object does not exist.
func read(ctx context.Context, c client.Reader, key types.NamespacedName, kind hashing.Kind) (*hashing.Object, error) {
	// Templates are admitted with names that no object can have. They must not become part of a request path.
	if len(validation.IsDNS1123Subdomain(key.Name)) > 0 {
		return nil, nil
	}
	object, err := get(ctx, c, key, kind)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind, key, err)
	}
	return object, nil
}

func get(ctx context.Context, c client.Reader, key types.NamespacedName, kind hashing.Kind) (*hashing.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch kind {
	case hashing.ConfigMap:
		var configMap corev1.ConfigMap
		if err := c.Get(ctx, key, &configMap); err != nil {
			return nil, err
		}
		return fromConfigMap(&configMap), nil
	case hashing.Secret:
		var secret corev1.Secret
		if err := c.Get(ctx, key, &secret); err != nil {
			return nil, err
		}
		return fromSecret(&secret), nil
	default:
		return nil, fmt.Errorf("a reference to a kind that holds no config: this is a bug")
	}
}

// isAbsent is true for the API server's "not found". A proxy's 404 has no status object in its body, which the client
// records as a cause; taken for an absence, it would make a wrong digest.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

func fromConfigMap(configMap *corev1.ConfigMap) *hashing.Object {
	data := make(map[string][]byte, len(configMap.Data))
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	return &hashing.Object{
		Kind:       hashing.ConfigMap,
		Name:       configMap.Name,
		Data:       data,
		BinaryData: configMap.BinaryData,
		Ignored:    isIgnored(configMap),
		AtOnce:     atOnce(configMap),
	}
}

func fromSecret(secret *corev1.Secret) *hashing.Object {
	return &hashing.Object{
		Kind:    hashing.Secret,
		Name:    secret.Name,
		Type:    string(secret.Type),
		Data:    secret.Data,
		Ignored: isIgnored(secret),
		AtOnce:  atOnce(secret),
	}
}

func isIgnored(object metav1.Object) bool {
	return object.GetAnnotations()[hashing.AnnotationConfig] == hashing.ConfigIgnore
}

func atOnce(object metav1.Object) int {
	n, err := strconv.Atoi(object.GetAnnotations()[hashing.AnnotationConfigAtOnce])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
