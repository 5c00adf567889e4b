package traffic

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unfinished pods can get requests; one that has ended, as that of a Job, never does again.
var unfinished = fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)

// selectsOthers returns the name of a pod that a Service selects and that is not the workload's, empty where there
// is none: such a pod would get no requests by the Services of the two versions.
func (r *Router) selectsOthers(ctx context.Context, w Workload, s *service) (string, error) {
	requirements, _ := w.Selector.Requirements()
	for _, requirement := range requirements {
		not, ok := negated(requirement)
		if !ok {
			continue
		}
		pods := &metav1.PartialObjectMetadataList{}
		pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
		selector := labels.SelectorFromSet(s.Spec.Selector).Add(not)
		err := r.client.List(ctx, pods, client.InNamespace(w.Namespace), client.MatchingLabelsSelector{Selector: selector},
			client.MatchingFieldsSelector{Selector: unfinished}, client.Limit(1))
		if err != nil {
			return "", fmt.Errorf("listing pods that service %s/%s selects: %w", w.Namespace, s.Name, err)
		}
		if len(pods.Items) > 0 {
			return pods.Items[0].Name, nil
		}
	}
	return "", nil
}

// pods returns the unfinished ones that a Service selects, as metadata.
func (r *Router) pods(ctx context.Context, s *corev1.Service) ([]metav1.PartialObjectMetadata, error) {
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if len(s.Spec.Selector) == 0 {
		return nil, nil
	}
	if err := r.client.List(ctx, pods, client.InNamespace(s.Namespace), client.MatchingLabels(s.Spec.Selector),
		client.MatchingFieldsSelector{Selector: unfinished}); err != nil {
		return nil, fmt.Errorf("listing pods that service %s/%s selects: %w", s.Namespace, s.Name, err)
	}
	return pods.Items, nil
}

// negated returns the requirement that fits exactly where another does not; false where there is none.
func negated(of labels.Requirement) (labels.Requirement, bool) {
	operators := map[selection.Operator]selection.Operator{
		selection.Equals: selection.NotIn, selection.DoubleEquals: selection.NotIn, selection.In: selection.NotIn,
		selection.NotIn: selection.In, selection.NotEquals: selection.In,
		selection.Exists: selection.DoesNotExist, selection.DoesNotExist: selection.Exists,
	}
	operator, ok := operators[of.Operator()]
	if !ok {
		return labels.Requirement{}, false
	}
	not, err := labels.NewRequirement(of.Key(), operator, of.Values().List())
	if err != nil {
		return labels.Requirement{}, false
	}
	return *not, true
}
