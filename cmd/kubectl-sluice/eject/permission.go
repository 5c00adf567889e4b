package eject

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

var accessReviews = authorizationv1.SchemeGroupVersion.WithResource("selfsubjectaccessreviews")

// permission is one that the plan needs.
type permission struct {
	verb            string
	resource        schema.GroupResource
	namespace, name string
}

func (p permission) String() string {
	text := p.verb + " " + p.resource.String()
	if p.name != "" {
		text += "/" + p.name
	}
	if p.namespace != "" {
		text += " in namespace " + p.namespace
	}
	return text
}

// deletesRecords is a verb that a plan can do without: the built-in roles do not have it on
// controllerrevisions, and a record goes with its workload.
const deletesRecords = "delete"

// optional tells whether the plan can do without.
func (p permission) optional() bool {
	return p.verb == deletesRecords && p.resource == controllerRevisions.GroupResource()
}

// permissions returns what the writes of a plan need.
func (p *Plan) permissions() []permission {
	var needed []permission
	add := func(resource schema.GroupVersionResource, namespace, name string, verbs ...string) {
		for _, verb := range verbs {
			if need := (permission{verb, resource.GroupResource(), namespace, name}); !slices.Contains(needed, need) {
				needed = append(needed, need)
			}
		}
	}
	for _, item := range p.Items {
		resource := item.Kind.Resource
		if !item.Gone {
			add(resource, item.Namespace, item.Name, "update")
		}
		if item.Release != nil || item.Unreadable != "" || item.OptsOut {
			add(resource, item.Namespace, item.Name, canary.VerbBypass)
		}
		if !item.Gone {
			add(resource.GroupVersion().WithResource(resource.Resource+"/status"), item.Namespace, item.Name, "update")
		}
		for _, w := range item.front.writes() {
			add(w.resource, item.Namespace, w.name, w.verbs...)
		}
		if item.Kind == workload.StatefulSet {
			add(pods, item.Namespace, "", "list", "delete")
			continue
		}
		add(replicaSets, item.Namespace, "", "list", "update", "delete")
		add(controllerRevisions, item.Namespace, "", "list", deletesRecords)
	}
	if p.OptsOut {
		add(namespaces, "", p.Scope.Namespace, "patch")
	}
	for _, i := range p.Installed {
		add(i.resource, "", i.name, "delete")
	}
	return needed
}

// Permit returns an error that names every permission which the user lacks.
func (e *Ejector) Permit(ctx context.Context, p *Plan) error {
	var missing []string
	for _, need := range p.permissions() {
		allowed, err := e.allowed(ctx, need)
		if err != nil {
			return fmt.Errorf("asking whether you may %s: %w", need, err)
		}
		switch {
		case allowed:
		case need.optional():
			e.keeps[need.namespace] = true
		default:
			missing = append(missing, need.String())
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("you may not do all of this, so nothing was done. Missing: %s. Ask somebody who may, or for a role that grants it; "+
			"the built-in role admin has %s", strings.Join(missing, "; "), canary.VerbBypass)
	}
	return nil
}

func (e *Ejector) allowed(ctx context.Context, need permission) (bool, error) {
	resource, subresource, _ := strings.Cut(need.resource.Resource, "/")
	review := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": authorizationv1.SchemeGroupVersion.String(), "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]any{
			"verb": need.verb, "group": need.resource.Group, "resource": resource, "subresource": subresource,
			"namespace": need.namespace, "name": need.name,
		}},
	}}
	answer, err := e.client.Resource(accessReviews).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}
