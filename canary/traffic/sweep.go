package traffic

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

// settles is how long a gateway may take to take up a route that was given back, before sluice's Services go.
const settles = time.Minute

// Sweep gives back the routes of a workload that has no release, or does not exist any more, by one write at a time,
// and takes sluice's Services away once no gateway sends requests there. It returns whether something is left to do.
func (r *Router) Sweep(ctx context.Context, w Workload) (again bool, err error) {
	own := &corev1.ServiceList{}
	err = r.client.List(ctx, own, client.InNamespace(w.Namespace), client.MatchingLabels{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)})
	if err != nil {
		return false, fmt.Errorf("listing sluice's services of namespace %s: %w", w.Namespace, err)
	}
	items := slices.DeleteFunc(own.Items, func(s corev1.Service) bool { return !w.belongs(&s) || s.DeletionTimestamp != nil })
	if len(items) == 0 {
		return false, nil
	}
	if again, err := r.sweepRoutes(ctx, w, items); again || err != nil {
		return again, err
	}
	for i := range items {
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
	for _, name := range beside(own) {
		names := split.NamesOf(name)
		for _, route := range l.routes {
			p := part{route: route, names: names, companion: l.companion(route, names)}
			share := l.share(p)
			if share == nil && !differs(p, nil) {
				reading, err := providerOf(route).Read(route, nil, names)
				again = again || (err == nil && reading.Waiting != "" && r.kinds.now().Sub(changed(route)) < settles)
				continue
			}
			if share != nil && share.Workload != w.subject() {
				continue // another one's, or nobody knows whose: its release, or its people, will see to it
			}
			l.take(p)
		}
	}
	if len(l.view.parts) == 0 {
		return again, nil
	}
	return true, r.Steer(ctx, l.view, nil)
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
