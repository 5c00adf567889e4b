package eject

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

var (
	replicaSets         = appsv1.SchemeGroupVersion.WithResource("replicasets")
	controllerRevisions = appsv1.SchemeGroupVersion.WithResource("controllerrevisions")
	pods                = corev1.SchemeGroupVersion.WithResource("pods")
	namespaces          = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// get returns a workload's object.
func (e *Ejector) get(ctx context.Context, ref workload.Ref) (*unstructured.Unstructured, error) {
	object, err := e.client.Resource(ref.Kind.Resource).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return nil, workload.Explain(ref, err)
	}
	return object, nil
}

// subject decodes a workload. One whose state cannot be read counts as one without a release.
func subject(kind *workload.Kind, object *unstructured.Unstructured) (*Subject, error) {
	s, readable := &Subject{}, object
	if object.GetLabels()[canary.ActiveLabel] == "true" {
		release, err := canary.DecodeRelease(object.GetAnnotations())
		switch {
		case err != nil:
			s.Unreadable = err.Error()
		case release == nil:
			s.Unreadable = "there is none"
		}
		if s.Unreadable != "" {
			readable = object.DeepCopy()
			readable.SetLabels(with(readable.GetLabels(), map[string]*string{canary.ActiveLabel: nil}))
		}
	}
	var err error
	s.Workload, err = workload.Decode(kind, readable)
	return s, err
}

// look adds what the ending of a release depends on.
func (e *Ejector) look(ctx context.Context, s *Subject) error {
	snapshot, err := e.reader.Read(ctx, s.Ref)
	if err != nil || snapshot.Release == nil || s.Release == nil {
		return err
	}
	s.Stable = snapshot.Stable
	for _, revision := range snapshot.Revisions {
		if revision.Hash == s.Release.Stable.Hash && revision.Digest == s.Release.Stable.Digest {
			s.Stable = revision.Template
		}
	}
	if len(snapshot.Notes) > 0 {
		return fmt.Errorf("looking at %s: %s", s.Ref, strings.Join(snapshot.Notes, "; "))
	}
	if s.Kind == workload.StatefulSet {
		s.Whole = runsStable(snapshot)
		return nil
	}
	marked, own, err := e.replicaSetsOf(ctx, s.Workload)
	if err != nil {
		return err
	}
	s.Whole = wholeStable(s, snapshot, append(marked, own...))
	return nil
}

// list returns all objects of a kind.
func (e *Ejector) list(ctx context.Context, resource schema.GroupVersionResource, namespace string, selector labels.Selector) ([]unstructured.Unstructured, error) {
	items, err := workload.List(ctx, e.client, resource, namespace, selector)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", resource.Resource, err)
	}
	return items, nil
}

func decodeAll[T any](items []unstructured.Unstructured) ([]T, error) {
	decoded := make([]T, len(items))
	for i := range items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(items[i].Object, &decoded[i]); err != nil {
			return nil, fmt.Errorf("decoding %s %s: %w", items[i].GetKind(), items[i].GetName(), err)
		}
	}
	return decoded, nil
}

// preconditions guard a deletion by the object that was read.
func preconditions(uid types.UID) *metav1.Preconditions { return &metav1.Preconditions{UID: &uid} }
