package traffic

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	candidates, lost, err := r.services(ctx, w)
	if err != nil {
		return nil, err
	}
	standing := len(lost) > 0 || slices.ContainsFunc(candidates, func(s *service) bool { return s.stands(w) })
	policy := w.Policy.Divides()
	if !standing && (policy.None || len(candidates) == 0 && len(policy.Named) == 0) {
		return l.view, nil
	}
	if err := l.read(ctx); err != nil {
		return nil, err
	}
	for _, s := range lost {
		l.lost(s)
	}
	if err := l.readGrants(ctx); err != nil {
		return nil, err
	}
	for _, s := range candidates {
		if err := l.service(ctx, s); err != nil {
			return nil, err
		}
		if err := l.elsewhere(ctx, s); err != nil {
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
	grants   []grant
	bindings map[schema.GroupKind][]*unstructured.Unstructured // those that were looked for
	notes    notes
	seen     []string // routes that are divided, or can be
	why      map[string]string
}

// read lists the routes of the namespace.
func (l *look) read(ctx context.Context) error {
	l.canaries, l.why = map[string]*unstructured.Unstructured{}, map[string]string{}
	for _, kind := range split.Kinds() {
		found, err := l.list(ctx, kind, client.InNamespace(l.workload.Namespace))
		if err != nil {
			return fmt.Errorf("namespace %s: %w", l.workload.Namespace, err)
		}
		for _, route := range found {
			switch {
			case route.GetDeletionTimestamp() != nil:
			case split.IsCanaryIngress(route):
				l.canaries[route.GetName()] = route
			default:
				l.routes = append(l.routes, route)
			}
		}
		if kind == split.Ingress && len(found) > 0 {
			if l.classes, err = l.ingressClasses(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// lost takes what a release divides for a Service that is the workload's no more: before the canary's pods go, the
// requests have to be taken back.
func (l *look) lost(s *service) {
	concerned := false
	for _, p := range l.parts(s) {
		if share := l.share(p); share != nil && share.Workload == l.workload.subject() {
			concerned = true
			l.take(p)
		}
	}
	if concerned {
		l.block(s.lost)
		l.view.services = append(l.view.services, s)
	}
}

// parts returns the routes that send requests to a Service, or to sluice's beside it.
func (l *look) parts(s *service) []part {
	var parts []part
	for _, route := range l.routes {
		reading, err := providerOf(route).Read(route, nil, s.names)
		if err == nil && reading.None != "" {
			continue
		}
		parts = append(parts, part{route: route, names: s.names, companion: l.companion(route, s.names)})
	}
	return parts
}

// service looks for the routes of one Service.
func (l *look) service(ctx context.Context, s *service) error {
	parts := l.parts(s)
	if len(parts) == 0 {
		return nil
	}
	other, foreign := "", s.foreign(l.workload)
	if !slices.ContainsFunc(parts, func(p part) bool { return l.share(p) != nil }) {
		var err error
		if other, err = l.selectsOthers(ctx, l.workload, s); err != nil {
			return err
		}
	}
	concerned := false
	for _, p := range parts {
		if why := l.whole(ctx, p, other); why != "" {
			l.refuse(p.route, why)
			continue
		}
		if l.share(p) == nil && !l.mayTake(p.route) {
			l.notes.add(fmt.Sprintf("%s is not divided: %s does not name it", nameOf(p.route), canary.TrafficAnnotation))
			continue
		}
		concerned = true
		if foreign != "" && l.share(p) == nil {
			continue // of its backends, those of sluice's names are somebody's
		}
		l.take(p)
	}
	if concerned && foreign != "" {
		l.block(fmt.Sprintf("Service %s exists and is not sluice's: delete or rename it, since sluice needs the name", foreign))
	}
	if concerned {
		l.view.services = append(l.view.services, s)
		l.sticky(s)
	}
	return nil
}

// refuse says why a route is not divided. A canary that is to get certain requests alone, or none, must not get a share
// by its number: that blocks the release.
func (l *look) refuse(route *unstructured.Unstructured, why string) {
	l.why[nameOf(route)] = why
	if !l.mayTake(route) {
		return
	}
	l.notes.add(fmt.Sprintf("%s is not divided: %s", nameOf(route), why))
	if l.workload.Policy.Spares() {
		l.block(fmt.Sprintf("%s cannot be divided, and the canary is to get no other requests than those of its share: %s; annotation %s=none lets pods share requests by their number",
			nameOf(route), why, canary.TrafficAnnotation))
	}
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

// whole says why a route stays as it is, empty where it may be divided. What the release has divided stays its own: what
// has been bound to the Service since, or what pods it selects since, must not keep a promotion from giving it back.
func (l *look) whole(ctx context.Context, p part, otherPod string) string {
	why := l.undividable(p, otherPod)
	switch {
	case l.share(p) != nil:
		return why
	case slices.Contains(l.workload.Divided, nameOf(p.route)):
		return ""
	case why != "":
		return why
	}
	return l.bound(ctx, p)
}

// undividable says why a route's requests for a Service cannot be divided, as far as the route itself, its class and the
// Service's pods go; empty where they can.
func (l *look) undividable(p part, otherPod string) string {
	share := l.share(p)
	switch {
	case share != nil && share.Workload != "" && share.Workload != l.workload.subject():
		return "the release of " + share.Workload + " divides it"
	case share != nil:
		return ""
	case otherPod != "":
		return fmt.Sprintf("Service %s also selects pods that are not of %s", p.names.Service, l.workload.subject())
	}
	if p.route.GroupVersionKind().GroupKind() == split.Ingress {
		if why := l.classes.reject(p.route); why != "" {
			return why
		}
		if name := split.CanaryIngressName(p.route.GetName(), p.names); l.isTaken(name) {
			return fmt.Sprintf("Ingress %s exists and is not sluice's, which needs the name", name)
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
	if reading.Accepted {
		return "" // it was before it was changed, and is waited for
	}
	return reading.Waiting
}

// share returns what a part is divided by, as its record says; nil: it is not.
func (l *look) share(p part) *split.Share {
	share, ok := split.Recorded(p.route)[p.names.Service]
	if !ok {
		return nil
	}
	if p.route.GroupVersionKind().GroupKind() == split.Ingress {
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
	state := canary.Route{Name: name, Changed: split.Written(p.route, p.companion), Silent: split.Silent(p.route.GroupVersionKind().GroupKind())}
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

// finish looks at sluice's own Services, and says what was found.
func (l *look) finish(ctx context.Context, candidates []*service) error {
	v, state := l.view, &l.view.State
	var names []string
	for _, s := range v.services {
		names = append(names, s.names.Service, s.names.Stable, s.names.Canary)
		if s.lost != "" {
			state.Lost = true
			continue
		}
		state.Missing = state.Missing || s.missing(l.workload)
		state.Astray = state.Astray || s.astray(l.workload)
		state.Unnamed = state.Unnamed || (l.workload.Stable == "" || l.workload.Canary == "") && (s.stable == nil || s.canary == nil)
	}
	ready, err := l.endpoints(ctx, l.workload.Namespace, names)
	if err != nil {
		return err
	}
	if err := l.count(ctx, ready); err != nil {
		return err
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
