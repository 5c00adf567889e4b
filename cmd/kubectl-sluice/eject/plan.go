package eject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// Scope is what is taken out of sluice.
type Scope struct {
	// Workload alone, where it is set.
	Workload *workload.Ref
	// Namespace with all of its workloads; empty: all, and sluice's webhooks and policies.
	Namespace string
}

// Everything tells whether sluice itself is taken out.
func (s Scope) Everything() bool { return s.Workload == nil && s.Namespace == "" }

// Item is what is done to one workload.
type Item struct {
	*Subject
	// Ending of its release; empty where it has none, and only what one left is cleared away.
	Ending canary.Ending
	// OptsOut: it gets the label that keeps it out of sluice.
	OptsOut bool
	// Gone: the workload does not exist any more.
	Gone bool
	// Late: its write may be held by the webhooks, so it comes after them.
	Late bool
	// Routes are those that are divided for it, "httproute/web"; Services are sluice's own of its versions.
	Routes, Services []string
	// Divided: a route says that it is divided for it.
	Divided bool

	front   *front
	traffic traffic
}

// Plan is what is to be done, in the order of namespaces and names.
type Plan struct {
	Scope   Scope
	Request Request
	Items   []*Item
	// OptsOut: the Namespace carries the label that opts it in.
	OptsOut bool
	// Installed are sluice's webhooks and policies that exist.
	Installed []Installed

	// first are the releases of the first plan; nil: this is it.
	first map[shown]bool
}

// Nothing tells whether there is nothing to do.
func (p *Plan) Nothing() bool { return len(p.Items) == 0 && !p.OptsOut && len(p.Installed) == 0 }

// Undecided are workloads with a release of which nobody said how it ends.
type Undecided struct{ Subjects []*Subject }

func (e Undecided) Error() string {
	names := make([]string, len(e.Subjects))
	for i, s := range e.Subjects {
		names[i] = s.Ref.String()
	}
	return "say how the releases end of " + strings.Join(names, ", ")
}

// Plan reads what there is to do. Nothing is written.
func (e *Ejector) Plan(ctx context.Context, scope Scope, request Request) (*Plan, error) {
	p := &Plan{Scope: scope, Request: request}
	p.Request.Named = scope.Workload != nil
	if p.Request.Named {
		return p, e.planOne(ctx, p)
	}
	return p, e.read(ctx, p)
}

// read plans for all workloads of the scope.
func (e *Ejector) read(ctx context.Context, p *Plan) (err error) {
	if p.Scope.Everything() {
		p.Installed, err = e.installed(ctx)
	} else {
		p.OptsOut, err = e.optedIn(ctx, p.Scope.Namespace)
	}
	if err != nil {
		return err
	}
	subjects, err := e.subjects(ctx, p.Scope.Namespace)
	if err != nil {
		return err
	}
	if err := p.newcomers(subjects); err != nil {
		return err
	}
	if err := e.planAll(ctx, p, subjects); err != nil {
		return err
	}
	if err := e.planRemains(ctx, p, subjects); err != nil {
		return err
	}
	return e.planRoutes(ctx, p)
}

func (e *Ejector) planOne(ctx context.Context, p *Plan) error {
	ref := *p.Scope.Workload
	object, missing := e.get(ctx, ref)
	if missing != nil && !apierrors.IsNotFound(missing) {
		return missing
	}
	left, err := e.left(ctx, ref.Namespace)
	if err != nil {
		return errors.Join(missing, err)
	}
	i := slices.IndexFunc(left, func(r remnant) bool { return sameWorkload(r.of, ref) })
	if missing != nil {
		p.Items = []*Item{{Subject: &Subject{Workload: &workload.Workload{Ref: ref}}, Gone: true}}
		if i < 0 {
			return missing
		}
	} else if err := e.planExisting(ctx, p, object); err != nil {
		return err
	}
	for _, item := range p.Items {
		item.Divided = i >= 0 && left[i].divided
	}
	return e.planRoutes(ctx, p)
}

func (e *Ejector) planExisting(ctx context.Context, p *Plan, object *unstructured.Unstructured) error {
	s, err := subject(p.Scope.Workload.Kind, object)
	if err != nil {
		return err
	}
	return e.planAll(ctx, p, []read{{s, object}})
}

// planRoutes adds what stands in front of each workload.
func (e *Ejector) planRoutes(ctx context.Context, p *Plan) error {
	var failures []error
	for _, item := range p.Items {
		var err error
		if item.front, err = e.front(ctx, item); err != nil {
			failures = append(failures, err)
			continue
		}
		item.Routes = item.front.routes()
		for i := range item.front.services {
			item.Services = append(item.Services, item.front.services[i].GetName())
		}
	}
	return errors.Join(failures...)
}

// read is a workload with its object.
type read struct {
	*Subject
	object *unstructured.Unstructured
}

// subjects returns all workloads of a namespace, or of all.
func (e *Ejector) subjects(ctx context.Context, namespace string) ([]read, error) {
	var found []read
	for _, kind := range workload.Kinds {
		objects, err := e.list(ctx, kind.Resource, namespace, labels.Everything())
		if err != nil {
			return nil, err
		}
		for i := range objects {
			s, err := subject(kind, &objects[i])
			if err != nil {
				return nil, err
			}
			found = append(found, read{s, &objects[i]})
		}
	}
	return found, nil
}

// planAll decides about each workload. Every refusal is told at once.
func (e *Ejector) planAll(ctx context.Context, p *Plan, subjects []read) error {
	var failures []error
	var undecided Undecided
	for _, s := range subjects {
		if s.object.GetDeletionTimestamp() != nil {
			if p.Request.Named {
				return fmt.Errorf("%s is being deleted, with what belongs to it: nothing was done", s.Ref)
			}
			continue
		}
		item := &Item{Subject: s.Subject, OptsOut: p.Request.Named}
		if s.Release == nil {
			_, told := s.object.GetLabels()[canary.PhaseLabel]
			item.Late = s.Unreadable == "" && markOf(s.object) == ""
			if p.Request.Named || told || s.Unreadable != "" {
				p.Items = append(p.Items, item)
			}
			continue
		}
		if err := e.look(ctx, s.Subject); err != nil {
			return err
		}
		var err error
		item.Ending, err = p.Request.ending(s.Subject)
		if held := (Held{}); errors.As(err, &held) {
			undecided.Subjects = append(undecided.Subjects, held.Subject)
		} else if err != nil {
			failures = append(failures, err)
		}
		p.Items = append(p.Items, item)
	}
	slices.SortFunc(p.Items, byName)
	if len(undecided.Subjects) > 0 {
		failures = append(failures, undecided)
	}
	return errors.Join(failures...)
}

func byName(a, b *Item) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind.Name, b.Kind.Name), cmp.Compare(a.Name, b.Name))
}

// marked returns what sluice made in a namespace, or in all.
func (e *Ejector) marked(ctx context.Context, namespace string) ([]unstructured.Unstructured, error) {
	selector, err := labels.Parse(canary.WorkloadLabel)
	if err != nil {
		return nil, fmt.Errorf("this is a bug: %w", err)
	}
	sets, err := e.list(ctx, replicaSets, namespace, selector)
	if err != nil {
		return nil, err
	}
	records, err := e.list(ctx, controllerRevisions, namespace, selector)
	records = slices.DeleteFunc(records, func(record unstructured.Unstructured) bool { return e.keeps[record.GetNamespace()] })
	return append(sets, records...), err
}

// remnant is something that sluice made or divided for a workload.
type remnant struct {
	of      workload.Ref
	divided bool // it is a route
}

// left returns whose things are in a namespace, or in all, each workload once.
func (e *Ejector) left(ctx context.Context, namespace string) ([]remnant, error) {
	marked, err := e.marked(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var found []remnant
	add := func(of workload.Ref, divided bool) {
		i := slices.IndexFunc(found, func(r remnant) bool { return r.of == of })
		if i < 0 {
			i, found = len(found), append(found, remnant{of: of})
		}
		found[i].divided = found[i].divided || divided
	}
	for i := range marked {
		add(refOf(&marked[i]), false)
	}
	fronts, err := e.divided(ctx, namespace)
	for _, object := range fronts {
		for _, ref := range ownersOf(object) {
			add(ref, object.GetKind() != "Service")
		}
	}
	return found, err
}

// planRemains adds the workloads without a release, or that are gone, of which something is left.
func (e *Ejector) planRemains(ctx context.Context, p *Plan, subjects []read) error {
	left, err := e.left(ctx, p.Scope.Namespace)
	if err != nil {
		return err
	}
	planned, known := map[workload.Ref]bool{}, map[workload.Ref]*Subject{}
	for _, item := range p.Items {
		planned[item.Ref] = true
		item.Divided = slices.ContainsFunc(left, func(r remnant) bool { return r.divided && sameWorkload(r.of, item.Ref) })
	}
	for _, s := range subjects {
		known[workload.Ref{Kind: s.Kind, Namespace: s.Namespace, Name: canary.WorkloadLabelValue(s.Name)}] = s.Subject
		planned[s.Ref] = planned[s.Ref] || s.object.GetDeletionTimestamp() != nil // what belongs to it goes with it
	}
	for _, r := range left {
		item := &Item{Subject: &Subject{Workload: &workload.Workload{Ref: r.of}}, Gone: true, Divided: r.divided}
		if s := known[workload.Ref{Kind: r.of.Kind, Namespace: r.of.Namespace, Name: canary.WorkloadLabelValue(r.of.Name)}]; s != nil {
			item = &Item{Subject: s, Divided: r.divided}
		}
		if !planned[item.Ref] {
			planned[item.Ref] = true
			p.Items = append(p.Items, item)
		}
	}
	slices.SortFunc(p.Items, byName)
	return nil
}

// refOf names the Deployment of a marked object, by its label where it refers to none.
func refOf(object metav1.Object) workload.Ref {
	name := ownerName(object)
	if name == "" {
		name = object.GetLabels()[canary.WorkloadLabel]
	}
	return workload.Ref{Kind: workload.Deployment, Namespace: object.GetNamespace(), Name: name}
}
