package traffic

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// View is what was read of a workload's traffic, and what writes are guarded by.
type View struct {
	// State is what canary.Next goes by.
	State canary.Traffic

	workload Workload
	services []*service // those whose requests are divided, or can be
	parts    []part     // in the order of State.Routes
}

// part is a route's part for one Service.
type part struct {
	route     *unstructured.Unstructured
	companion *unstructured.Unstructured // the canary Ingress, nil: there is none
	names     split.Names
}

// Look reads what stands in front of a workload.
func (r *Router) Look(ctx context.Context, w Workload) (*View, error) {
	l := &look{Router: r, workload: w, view: &View{workload: w}}
	candidates, all, err := r.services(ctx, w)
	if err != nil {
		return nil, err
	}
	standing := slices.ContainsFunc(all, func(s corev1.Service) bool { return w.belongs(&s) })
	if len(candidates) == 0 && !standing {
		return l.view, nil
	}
	if w.Policy.Divides().None && !standing {
		return l.view, nil
	}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	for _, s := range candidates {
		if err := l.service(ctx, s); err != nil {
			return nil, err
		}
	}
	l.named()
	return l.view, l.finish(ctx, candidates)
}

// look is one look at a workload's traffic.
type look struct {
	*Router
	workload Workload
	view     *View
	routes   []*unstructured.Unstructured // of the namespace, without canary Ingresses of sluice's
	canaries map[string]*unstructured.Unstructured
	classes  ingressClasses
	notes    notes
	seen     []string // routes that are divided, or can be
	why      map[string]string
}

// read lists the routes of the namespace.
func (l *look) read(ctx context.Context) error {
	l.canaries, l.why = map[string]*unstructured.Unstructured{}, map[string]string{}
	for _, kind := range routeKinds {
		found, err := l.list(ctx, kind, client.InNamespace(l.workload.Namespace))
		if err != nil {
			return fmt.Errorf("namespace %s: %w", l.workload.Namespace, err)
		}
		for _, route := range found {
			switch {
			case route.GetDeletionTimestamp() != nil:
			case isCanaryIngress(route):
				l.canaries[route.GetName()] = route
			default:
				l.routes = append(l.routes, route)
			}
		}
		if kind == ingressKind && len(found) > 0 {
			if l.classes, err = l.ingressClasses(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// service looks for the routes of one Service.
func (l *look) service(ctx context.Context, s *service) error {
	var parts []part
	for _, route := range l.routes {
		reading, err := providerOf(route).Read(route, nil, s.names)
		if err == nil && reading.None != "" {
			continue
		}
		parts = append(parts, part{route: route, names: s.names, companion: l.companion(route, s.names)})
	}
	if len(parts) == 0 {
		return nil
	}
	other := ""
	if !slices.ContainsFunc(parts, func(p part) bool { return l.share(p) != nil }) {
		var err error
		if other, err = l.selectsOthers(ctx, l.workload, s); err != nil {
			return err
		}
	}
	concerned := false
	for _, p := range parts {
		if why := l.undividable(p, other); why != "" {
			l.why[nameOf(p.route)] = why
			if l.mayTake(p.route) {
				l.notes.add(fmt.Sprintf("%s is not divided: %s", nameOf(p.route), why))
			}
			continue
		}
		if l.share(p) == nil && !l.mayTake(p.route) {
			l.notes.add(fmt.Sprintf("%s is not divided: %s does not name it", nameOf(p.route), canary.TrafficAnnotation))
			continue
		}
		concerned = true
		l.take(p)
	}
	if concerned {
		l.view.services = append(l.view.services, s)
	}
	return nil
}

// mayTake tells whether the policy lets sluice divide a route.
func (l *look) mayTake(route *unstructured.Unstructured) bool {
	policy := l.workload.Policy.Divides()
	return !policy.None && (len(policy.Named) == 0 || slices.ContainsFunc(policy.Named, func(r canary.RouteName) bool { return r.String() == nameOf(route) }))
}

// named blocks the release where a route that the policy names is not divided.
func (l *look) named() {
	for _, route := range l.workload.Policy.Divides().Named {
		name := route.String()
		if slices.Contains(l.seen, name) {
			continue
		}
		why, ok := l.why[name]
		if !ok {
			why = fmt.Sprintf("namespace %s has no such route to a Service that selects the pods of %s", l.workload.Namespace, l.workload.subject())
		}
		l.block(fmt.Sprintf("%s of annotation %s cannot be divided: %s", name, canary.TrafficAnnotation, why))
	}
}

func (l *look) block(why string) {
	if l.view.State.Blocked == "" {
		l.view.State.Blocked = why
	}
}

// undividable says why a route's requests for a Service cannot be divided, empty where they can. What is divided
// already stays so.
func (l *look) undividable(p part, otherPod string) string {
	share := l.share(p)
	switch {
	case share != nil && share.Workload != "" && share.Workload != l.workload.subject():
		return "the release of " + share.Workload + " divides it"
	case share != nil:
		return ""
	case otherPod != "":
		return fmt.Sprintf("Service %s also selects pod %s, which is not of %s", p.names.Service, otherPod, l.workload.subject())
	}
	if p.route.GroupVersionKind().GroupKind() == ingressKind {
		if why := l.classes.reject(p.route); why != "" {
			return why
		}
	}
	match, err := split.ParseMatch(l.workload.Policy.Match)
	if err != nil {
		match = split.Match{}
	}
	_, err = providerOf(p.route).Split(p.route, split.Share{Names: p.names, Match: match, Workload: l.workload.subject()})
	if err != nil {
		return err.Error()
	}
	reading, err := providerOf(p.route).Read(p.route, p.companion, p.names)
	if err != nil {
		return err.Error()
	}
	return reading.Waiting
}

// share returns what a part is divided by, as its record says; nil: it is not.
func (l *look) share(p part) *split.Share {
	share, ok := split.Recorded(p.route)[p.names.Service]
	if !ok {
		return nil
	}
	if p.route.GroupVersionKind().GroupKind() == ingressKind {
		share.Weight, share.Match = 0, split.Match{}
		if p.companion != nil {
			own := split.Recorded(p.companion)[p.names.Service]
			share.Weight, share.Match = own.Weight, own.Match
		}
	}
	return &share
}

// take reads a part that is divided, or can be.
func (l *look) take(p part) {
	name := nameOf(p.route)
	if !slices.Contains(l.seen, name) {
		l.seen = append(l.seen, name)
	}
	state := canary.Route{Name: name, Changed: changed(p.route)}
	share := l.share(p)
	if share != nil {
		state.Share = &canary.Share{Weight: share.Weight, Match: share.Match.String()}
	}
	state.Differs = differs(p, share)
	reading, err := providerOf(p.route).Read(p.route, p.companion, p.names)
	if err != nil {
		state.Waiting = err.Error()
	} else {
		state.Waiting = reading.Waiting
	}
	for _, inexact := range reading.Inexact {
		l.notes.add(name + ": " + inexact)
	}
	l.view.State.Routes = append(l.view.State.Routes, state)
	l.view.parts = append(l.view.parts, p)
}

// differs tells whether a route is not what its record says.
func differs(p part, share *split.Share) bool {
	if share == nil {
		restored, err := providerOf(p.route).Restore(p.route, p.names)
		return p.companion != nil || err != nil || !equality.Semantic.DeepEqual(restored.Object, p.route.Object)
	}
	result, err := providerOf(p.route).Split(p.route, *share)
	if err != nil {
		return true
	}
	labelled := p.route.GetLabels()[canary.ActiveLabel] == "true"
	return !labelled || !equality.Semantic.DeepEqual(result.Route.Object, p.route.Object) || !sameCanary(p.companion, result.Companion)
}

// changed is when anybody last wrote a route.
func changed(route *unstructured.Unstructured) time.Time {
	last := route.GetCreationTimestamp().Time
	for _, entry := range route.GetManagedFields() {
		if entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// finish looks at sluice's own Services, and says what was found.
func (l *look) finish(ctx context.Context, candidates []*service) error {
	v, state := l.view, &l.view.State
	var names []string
	for _, s := range v.services {
		if foreign := s.foreign(l.workload); foreign != "" {
			l.block(fmt.Sprintf("Service %s exists and is not sluice's: delete or rename it, since sluice needs the name", foreign))
		}
		state.Missing = state.Missing || s.missing(l.workload)
		state.Astray = state.Astray || s.astray(l.workload)
		names = append(names, s.Name, s.names.Stable, s.names.Canary)
	}
	state.Unnamed = (l.workload.Stable == "" || l.workload.Canary == "") && slices.ContainsFunc(v.services, func(s *service) bool {
		return s.stable == nil || s.canary == nil
	})
	ready, err := l.endpoints(ctx, l.workload.Namespace, names)
	if err != nil {
		return err
	}
	state.OnlyStable, state.OnlyCanary = true, true
	for i, s := range v.services {
		own, stable, onCanary := ready[s.Name], ready[s.names.Stable], ready[s.names.Canary]
		state.Unlisted = state.Unlisted || stable == nil || onCanary == nil
		state.OnlyStable = state.OnlyStable && own.within(stable) && len(onCanary) == 0
		state.OnlyCanary = state.OnlyCanary && own.within(onCanary)
		if i == 0 || int32(len(stable)) < state.StableEndpoints {
			state.StableEndpoints = int32(len(stable)) // as many as a namespace has pods
		}
		if i == 0 || int32(len(onCanary)) < state.CanaryEndpoints {
			state.CanaryEndpoints = int32(len(onCanary))
		}
	}
	if len(l.seen) == 0 && len(l.notes) == 0 {
		return nil
	}
	state.Found = &canary.Found{Routes: l.seen, Notes: l.notes}
	for _, s := range candidates {
		state.Found.Services = append(state.Found.Services, s.Name)
	}
	return nil
}

// isCanaryIngress tells whether an Ingress is one of sluice's beside another.
func isCanaryIngress(route *unstructured.Unstructured) bool {
	return route.GroupVersionKind().GroupKind() == ingressKind && route.GetLabels()[canary.WorkloadLabel] != ""
}

// companion returns the canary Ingress of a route, nil where there is none, and for every other kind.
func (l *look) companion(route *unstructured.Unstructured, names split.Names) *unstructured.Unstructured {
	if route.GroupVersionKind().GroupKind() != ingressKind {
		return nil
	}
	return l.canaries[split.CanaryIngressName(route.GetName(), names)]
}

// sameCanary tells whether a canary Ingress says what it should. Others may add to its metadata.
func sameCanary(is, want *unstructured.Unstructured) bool {
	if is == nil || want == nil {
		return is == want
	}
	if !equality.Semantic.DeepEqual(is.Object["spec"], want.Object["spec"]) {
		return false
	}
	has := is.GetAnnotations()
	for key, value := range want.GetAnnotations() {
		if has[key] != value {
			return false
		}
		delete(has, key)
	}
	for key := range has {
		if strings.HasPrefix(key, "nginx.ingress.kubernetes.io/canary") {
			return false
		}
	}
	return true
}
