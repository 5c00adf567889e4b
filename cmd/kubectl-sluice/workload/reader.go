package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/pager"

	"sluice.dev/sluice/canary"
)

// Reader reads workloads from a cluster.
type Reader struct{ client dynamic.Interface }

// NewReader returns a reader with the rights of the client's user.
func NewReader(client dynamic.Interface) *Reader { return &Reader{client} }

// Get returns a workload.
func (r *Reader) Get(ctx context.Context, ref Ref) (*Workload, error) {
	object, err := r.client.Resource(ref.Kind.Resource).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, Explain(ref, err)
	}
	return Decode(ref.Kind, object)
}

// Explain says what was read in vain, and what to do where it is not there.
func Explain(ref Ref, err error) error {
	if apierrors.IsNotFound(err) {
		return missingError{ref, err}
	}
	return fmt.Errorf("reading %s in namespace %s: %w", ref, ref.Namespace, err)
}

// missingError says that a workload does not exist; it wraps the API server's answer.
type missingError struct {
	ref Ref
	err error
}

func (e missingError) Error() string {
	return fmt.Sprintf("%s does not exist in namespace %s; look with: kubectl get %s -n %s",
		e.ref, e.ref.Namespace, e.ref.Kind.Resource.Resource, e.ref.Namespace)
}

func (e missingError) Unwrap() error { return e.err }

// Snapshot is a workload with what belongs to it, read one after the other.
type Snapshot struct {
	*Workload
	// Revisions in no order.
	Revisions []Revision
	// Pods of all revisions.
	Pods []corev1.Pod
	// Stable is the stable template of the release, nil where there is none or nobody knows it any more.
	Stable []byte
	// Notes say what could not be read.
	Notes []string
}

// Read returns a workload with its revisions and pods.
func (r *Reader) Read(ctx context.Context, ref Ref) (*Snapshot, error) {
	w, err := r.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Workload: w}
	if s.Revisions, err = w.Kind.revisions(ctx, r, w); s.excuse("revisions", err) != nil {
		return nil, err
	}
	if err := r.readPods(ctx, s); err != nil {
		return nil, err
	}
	if w.Release == nil {
		return s, nil
	}
	s.Stable, err = r.stableTemplate(ctx, s)
	return s, s.excuse("stable version", err)
}

func (r *Reader) readPods(ctx context.Context, s *Snapshot) error {
	var err error
	if s.Pods, err = r.pods(ctx, s.Workload); err != nil {
		return s.excuse("pods", err)
	}
	if s.Kind == StatefulSet {
		s.countAvailable() // a ControllerRevision has no status
	}
	return nil
}

// excuse notes what the user may not read, and returns any other error.
func (s *Snapshot) excuse(what string, err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	s.Notes = append(s.Notes, fmt.Sprintf("its %s cannot be shown: %v", what, err))
	return nil
}

// History returns a workload with its revisions, and with pods only where they are needed to count them.
func (r *Reader) History(ctx context.Context, ref Ref) (*Snapshot, error) {
	w, err := r.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Workload: w}
	if s.Revisions, err = w.Kind.revisions(ctx, r, w); err != nil {
		return nil, err
	}
	if w.Kind == StatefulSet {
		return s, r.readPods(ctx, s)
	}
	return s, nil
}

func (r *Reader) pods(ctx context.Context, w *Workload) ([]corev1.Pod, error) {
	items, err := r.list(ctx, corev1.SchemeGroupVersion.WithResource("pods"), w.Namespace, w.selector)
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", w.Ref, err)
	}
	pods := make([]corev1.Pod, len(items))
	for i := range items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(items[i].Object, &pods[i]); err != nil {
			return nil, fmt.Errorf("decoding pod %s: %w", items[i].GetName(), err)
		}
	}
	return pods, nil
}

// Released returns the workloads that have a release, of one namespace or, where it is empty, of all.
// A kind that the user may not list is left out and named in the notes, unless all are.
func (r *Reader) Released(ctx context.Context, namespace string) (found []*Workload, notes []string, err error) {
	active := labels.SelectorFromSet(labels.Set{canary.ActiveLabel: "true"})
	for _, kind := range Kinds {
		items, err := r.list(ctx, kind.Resource, namespace, active)
		if apierrors.IsForbidden(err) && len(notes) < len(Kinds)-1 {
			notes = append(notes, fmt.Sprintf("%s cannot be shown: %v", kind.Resource.Resource, err))
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listing %s with a release: %w", kind.Resource.Resource, err)
		}
		for i := range items {
			w, err := Decode(kind, &items[i])
			if err != nil {
				notes = append(notes, err.Error())
				continue
			}
			if w.Release != nil {
				found = append(found, w)
			}
		}
	}
	return found, notes, nil
}

func (r *Reader) list(ctx context.Context, resource schema.GroupVersionResource, namespace string, selector labels.Selector) ([]unstructured.Unstructured, error) {
	return List(ctx, r.client, resource, namespace, selector)
}

// List returns all objects of a kind of a namespace, or where it is empty of all, in pages as kubectl asks for them.
func List(
	ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource, namespace string, selector labels.Selector,
) ([]unstructured.Unstructured, error) {
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return client.Resource(resource).Namespace(namespace).List(ctx, options)
	})
	var items []unstructured.Unstructured
	err := pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: selector.String()}, func(object runtime.Object) error {
		item, ok := object.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("this is a bug: a list of %T", object)
		}
		items = append(items, *item)
		return nil
	})
	return items, err
}
