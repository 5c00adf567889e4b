package eject

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

var services = corev1.SchemeGroupVersion.WithResource("services")

// route is one as it was listed.
type route struct {
	*unstructured.Unstructured
	resource schema.GroupVersionResource
}

// routes returns those of a namespace, or of all, of each kind that the cluster knows. Whoever may not list a kind
// gets an error, unless it does not matter whether there are some.
func (e *Ejector) routes(ctx context.Context, namespace string, selector labels.Selector, matters bool) ([]route, error) {
	var found []route
	for _, kind := range split.Kinds() {
		mapping, err := e.mapper.RESTMapping(kind)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for the kind %s: %w", kind, err)
		}
		items, err := e.list(ctx, mapping.Resource, namespace, selector)
		if apierrors.IsNotFound(err) || (apierrors.IsForbidden(err) && !matters) {
			continue // its CRD has just gone, or nobody needs it
		}
		if err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].GetDeletionTimestamp() == nil {
				found = append(found, route{&items[i], mapping.Resource})
			}
		}
	}
	return found, nil
}

// divided returns the workloads that have a Service of sluice's, or a route that is divided for them.
func (e *Ejector) divided(ctx context.Context, namespace string) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	made, err := e.list(ctx, services, namespace, exists(canary.WorkloadLabel))
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	for i := range made {
		if made[i].GetDeletionTimestamp() == nil {
			found = append(found, &made[i])
		}
	}
	routes, err := e.routes(ctx, namespace, exists(split.ActiveLabel), false)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		found = append(found, r.Unstructured)
	}
	return found, nil
}

// exists selects what has a label.
func exists(label string) labels.Selector {
	selector, err := labels.Parse(label)
	if err != nil {
		panic("this is a bug: " + err.Error())
	}
	return selector
}

// front reads what sluice has in front of a workload. A workload that never had anything there costs one request.
func (e *Ejector) front(ctx context.Context, item *Item) (*front, error) {
	f := &front{}
	marked := labels.Set{canary.WorkloadLabel: canary.WorkloadLabelValue(item.Name)}.AsSelector()
	made, err := e.list(ctx, services, item.Namespace, marked)
	if err != nil && !(apierrors.IsForbidden(err) && !item.routed()) {
		return nil, err
	}
	var names []split.Names
	for i := range made {
		if made[i].GetDeletionTimestamp() == nil && of(&made[i], item.Ref) {
			f.services = append(f.services, made[i])
			names = append(names, split.NamesOf(made[i].GetAnnotations()[besideAnnotation]))
		}
	}
	if len(f.services) == 0 && !item.routed() {
		return f, nil
	}
	routes, err := e.routes(ctx, item.Namespace, labels.Everything(), true)
	if err != nil {
		return nil, err
	}
	return f, f.find(item, routes, names)
}

// routed tells whether routes are divided for the workload, as far as was known when it was planned.
func (i *Item) routed() bool {
	return len(i.Routes) > 0 || i.Divided || (i.Release != nil && i.Release.Traffic != nil && len(i.Release.Traffic.Routes) > 0)
}

// find sorts the routes of a namespace.
func (f *front) find(item *Item, routes []route, services []split.Names) error {
	canaries, used := map[string]*unstructured.Unstructured{}, map[string]bool{}
	for _, r := range routes {
		if split.IsCanaryIngress(r.Unstructured) {
			canaries[r.GetName()] = r.Unstructured
		}
	}
	for _, r := range routes {
		if split.IsCanaryIngress(r.Unstructured) {
			continue
		}
		for _, service := range slices.Sorted(maps.Keys(recorded(r))) {
			names := split.NamesOf(service)
			if !of(r.Unstructured, item.Ref) && slices.Contains(services, names) {
				f.others = append(f.others, part{route: r.Unstructured, resource: r.resource, names: names})
			}
		}
		for _, names := range namesOn(r, item, services) {
			p := part{route: r.Unstructured, resource: r.resource, names: names}
			if r.GroupVersionKind().GroupKind() == split.Ingress {
				canary := split.CanaryIngressName(r.GetName(), names)
				p.canary, used[canary] = canaries[canary], true
			}
			if claimedByUs(r) {
				f.claimed = append(f.claimed, p)
			}
			at, err := p.stand()
			if err != nil {
				return fmt.Errorf("%s of namespace %s cannot be given back, mend it by hand with kubectl edit %s -n %s: %w",
					p, item.Namespace, p, item.Namespace, err)
			}
			if at != toService {
				f.parts = append(f.parts, p)
			} else if p.sends() {
				f.returned = append(f.returned, p)
			}
		}
	}
	for _, r := range routes {
		if split.IsCanaryIngress(r.Unstructured) && !used[r.GetName()] && of(r.Unstructured, item.Ref) {
			f.strays = append(f.strays, part{route: r.Unstructured, canary: r.Unstructured, resource: r.resource})
		}
	}
	return nil
}

// namesOn returns the Services of the item that a route may be divided for: those of its record, and those beside
// which there are some of sluice's, since a record can be lost.
func namesOn(r route, item *Item, services []split.Names) []split.Names {
	found := slices.Clone(services)
	for _, p := range item.traffic.written { // a sluice that is alive may have taken record and Services away
		if p.names.Service != "" && p.resource == r.resource && p.route.GetName() == r.GetName() && !slices.Contains(found, p.names) {
			found = append(found, p.names)
		}
	}
	add := func(names split.Names) {
		if !slices.Contains(found, names) {
			found = append(found, names)
		}
	}
	entries := recorded(r)
	for _, service := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[service]
		if entry.Workload != subjectOf(item.Ref) && !(entry.Workload == "" && of(r.Unstructured, item.Ref)) {
			// Another one's, whatever it has in common with this one.
			found = slices.DeleteFunc(found, func(n split.Names) bool { return n.Service == service && entry.Workload != "" })
			continue
		}
		add(entry.namesFor(service))
	}
	if _, labelled := r.GetLabels()[split.ActiveLabel]; labelled && len(entries) == 0 && of(r.Unstructured, item.Ref) {
		add(split.NamesOf(r.GetName())) // its record cannot be read
	}
	return found
}
