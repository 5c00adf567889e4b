package owners

import (
	"context"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/manifests"
)

// Path is where sluice's server judges who takes what from whom.
const Path = "/validate-owners"

// workloads are the kinds that sluice always judges.
var workloads = []schema.GroupResource{
	{Group: appsv1.GroupName, Resource: "deployments"},
	{Group: appsv1.GroupName, Resource: "statefulsets"},
	{Group: appsv1.GroupName, Resource: "daemonsets"},
}

// unchecked returns why writes to an object are not looked at, empty where they are. The error says why that is not
// known to somebody who may not read what decides it.
func (r *Reader) unchecked(ctx context.Context, ref Ref, live *unstructured.Unstructured, ns namespace) (reason string, unread, err error) {
	workload := slices.Contains(workloads, ref.Mapping.Resource.GroupResource())
	switch {
	case live.GetDeletionTimestamp() != nil:
		return "it is being deleted", nil, nil
	case ref.Namespace == metav1.NamespaceSystem || ref.Namespace == manifests.Namespace:
		return "sluice leaves namespace " + ref.Namespace + " alone", nil, nil
	case workload && live.GetLabels()[canary.EnabledLabel] == "false":
		return "it has opted out with the label " + canary.EnabledLabel + "=false", nil, nil
	case ref.Namespace != "" && ns.unread == nil && ns.labels[canary.EnabledLabel] != "true":
		return "the Namespace has not opted in with the label " + canary.EnabledLabel + "=true", nil, nil
	case workload:
		return "", ns.unread, nil
	}
	listed, err := r.listed(ctx, ref)
	switch {
	case apierrors.IsForbidden(err):
		return "", fmt.Errorf("whether sluice looks at %s is not known: %w", ref.Mapping.Resource.Resource, err), nil
	case err != nil:
		return "", nil, err
	case !listed:
		return "sluice does not look at " + ref.Mapping.Resource.Resource + "; an operator may list them", nil, nil
	}
	return "", ns.unread, nil
}

// listed tells whether an operator listed a kind beside the workloads.
func (r *Reader) listed(ctx context.Context, ref Ref) (bool, error) {
	if r.rules == nil {
		rules, err := r.readRules(ctx)
		if err != nil {
			return false, err
		}
		r.rules = rules
	}
	return slices.ContainsFunc(*r.rules, func(rule admissionregistrationv1.RuleWithOperations) bool { return matches(rule, ref) }), nil
}

func (r *Reader) readRules(ctx context.Context) (*[]admissionregistrationv1.RuleWithOperations, error) {
	resource := admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations")
	rules := []admissionregistrationv1.RuleWithOperations{}
	object, err := r.client.Resource(resource).Get(ctx, manifests.OwnershipName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &rules, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading sluice's webhooks: %w", err)
	}
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration); err != nil {
		return nil, fmt.Errorf("decoding sluice's webhooks: %w", err)
	}
	for i := range configuration.Webhooks {
		if judges(configuration.Webhooks[i].ClientConfig) {
			rules = append(rules, configuration.Webhooks[i].Rules...)
		}
	}
	return &rules, nil
}

func judges(c admissionregistrationv1.WebhookClientConfig) bool {
	return c.Service != nil && c.Service.Path != nil && *c.Service.Path == Path || c.URL != nil && strings.HasSuffix(*c.URL, Path)
}

// matches goes by group and resource: the API server converts other versions.
func matches(rule admissionregistrationv1.RuleWithOperations, ref Ref) bool {
	resource := ref.Mapping.Resource
	has := func(words []string, word string) bool {
		return slices.Contains(words, word) || slices.Contains(words, "*")
	}
	updates := slices.Contains(rule.Operations, admissionregistrationv1.Update) || slices.Contains(rule.Operations, admissionregistrationv1.OperationAll)
	scope := rule.Scope == nil || *rule.Scope == admissionregistrationv1.AllScopes ||
		(*rule.Scope == admissionregistrationv1.NamespacedScope) == (ref.Mapping.Scope.Name() == meta.RESTScopeNameNamespace)
	return updates && scope && has(rule.APIGroups, resource.Group) && (has(rule.Resources, resource.Resource) || slices.Contains(rule.Resources, "*/*"))
}
