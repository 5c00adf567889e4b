package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

const (
	// settles is how long a gateway may take to take up a route that was given back, before sluice's Services go.
	settles = time.Minute
)

// Sweep gives back the routes of a workload that has no release, or does not exist any more, by one write at a time,
// and takes sluice's Services away once no gateway sends requests there. It returns whether something is left to do.
func (r *Router) Sweep(ctx context.Context, w Workload) (again bool, err error) {
	own := &corev1.ServiceList{}
	err = r.client.List(ctx, own, client.InNamespace(w.Namespace), client.MatchingLabels{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)})
	if err != nil {
		return false, fmt.Errorf("listing sluice's services of namespace %s: %w", w.Namespace, err)
	}
	items := slices.DeleteFunc(own.Items, func(s corev1.Service) bool { return !w.belongs(&s) })
	if again, err := r.sweepRoutes(ctx, w, items); again || err != nil {
		return again, err
	}
	for i := range items {
		if items[i].DeletionTimestamp != nil {
			continue
		}
		if err := r.deleteService(ctx, &items[i]); err != nil {
			return false, err
		}
	}
	return false, nil
}

// sweepRoutes returns whether a route is, or its gateway may be, on the way back still.
func (r *Router) sweepRoutes(ctx context.Context, w Workload, own []corev1.Service) (again bool, err error) {
	l := &look{Router: r, workload: w, view: &View{workload: w}}
	if err := l.read(ctx); err != nil {
		return false, err
	}
	for _, name := range l.divided(own) {
		names := split.NamesOf(name)
		for _, route := range l.routes {
			p := part{route: route, names: names, companion: l.companion(route, names)}
			share := l.share(p)
			if share == nil && !l.isLeft(p, own) {
				again = again || r.lags(p)
				continue
			}
			if share != nil && share.Workload != w.subject() {
				continue // another one's, or nobody knows whose: its release, or its people, will see to it
			}
			l.take(p)
		}
	}
	if len(l.view.parts) > 0 {
		return true, l.giveBack(ctx, own)
	}
	for _, name := range slices.Sorted(maps.Keys(l.canaries)) {
		if canary := l.canaries[name]; len(recorded(canary, w.subject())) > 0 { // the Ingress beside which it stood is gone
			return true, r.deleteCanary(ctx, canary)
		}
	}
	return again, nil
}

// giveBack makes the next write towards routes without sluice's Services. Where the stable version serves, what is sent
// to a canary goes there first, and its pods, which no release needs, are given a minute to go, from the user's Service
// as well: else they would get requests by their number.
func (l *look) giveBack(ctx context.Context, own []corev1.Service) error {
	var services []string
	sends, changed := false, time.Time{}
	for i, p := range l.view.parts {
		route := l.view.State.Routes[i]
		services = append(services, p.names.Service, p.names.Stable, p.names.Canary)
		sends = sends || (route.Share != nil && *route.Share != canary.Share{})
		if route.Changed.After(changed) {
			changed = route.Changed
		}
	}
	ready, err := l.endpoints(ctx, l.workload.Namespace, services)
	if err != nil {
		return err
	}
	both := false
	for _, p := range l.view.parts {
		reached, err := l.reachesCanary(ctx, own, p.names, ready)
		if err != nil {
			return err
		}
		both = both || reached
	}
	switch {
	case both && sends:
		return l.Steer(ctx, l.view, &canary.Share{})
	case both && l.kinds.now().Sub(changed) < settles:
		return nil
	}
	return l.Steer(ctx, l.view, nil)
}

// reachesCanary tells whether requests to the user's Service would reach pods of a canary, beside a stable version that
// serves. The endpoints of each Service follow pods with a delay of their own: the user's may list pods that are none of
// the canary's any more, or none at all.
func (l *look) reachesCanary(ctx context.Context, own []corev1.Service, names split.Names, ready map[string]podSet) (bool, error) {
	others := ready[names.Service].without(ready[names.Stable])
	stable := slices.IndexFunc(own, func(s corev1.Service) bool { return s.Name == names.Stable })
	switch {
	case stable < 0 || len(ready[names.Stable]) == 0:
		return false, nil
	case len(ready[names.Canary]) > 0:
		return true, nil
	case len(others) == 0:
		return false, nil
	}
	selector := maps.Clone(own[stable].Spec.Selector)
	delete(selector, l.workload.HashLabel)
	live, err := l.livePods(ctx, l.workload.Namespace, selector)
	return !others.within(live), err
}

// divided returns the names of the user's Services beside which sluice's stand, or for which a route has a record of
// the workload's release: with a workload that is deleted its Services go at once, and nothing else says what they
// stood beside.
func (l *look) divided(own []corev1.Service) []string {
	names := beside(own)
	routes := append(slices.Clone(l.routes), slices.Collect(maps.Values(l.canaries))...)
	for _, route := range routes {
		for _, name := range recorded(route, l.workload.subject()) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// isLeft tells whether a route without a share has something of one: one that is to end, or backends of sluice's names
// beside which its Services stand. Without those they are somebody's own.
func (l *look) isLeft(p part, own []corev1.Service) bool {
	mine := p.companion != nil || slices.Contains(beside(own), p.names.Service) ||
		slices.Contains(recorded(p.route, l.workload.subject()), p.names.Service)
	return mine && differs(p, nil)
}

// lags tells whether the provider of a route that was given back may send requests to sluice's Services still.
func (r *Router) lags(p part) bool {
	reading, err := providerOf(p.route).Read(p.route, nil, p.names)
	if err != nil || reading.None != "" {
		return false
	}
	since := r.kinds.now().Sub(split.Written(p.route, nil))
	return reading.Waiting != "" && since < settles || split.Silent(p.route.GroupVersionKind().GroupKind()) && since < canary.Unsaid
}

// recorded returns the Services of which a route has a record of a workload's release, of any where it is empty; those
// that are to be restored among them.
func recorded(route *unstructured.Unstructured, workload string) []string {
	var all map[string]struct {
		Workload string `json:"workload"`
	}
	if json.Unmarshal([]byte(route.GetAnnotations()[split.RecordAnnotation]), &all) != nil {
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if workload == "" || all[name].Workload == workload {
			names = append(names, name)
		}
	}
	return names
}

// beside returns the names of the user's Services beside which sluice's stand.
func beside(own []corev1.Service) []string {
	var names []string
	for _, s := range own {
		if name := s.Annotations[serviceAnnotation]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
