package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
)

const (
	// settles is how long a gateway may take to accept a route that was given back, before sluice's Services go.
	settles = time.Minute
	// goes is how long pods of a canary may take to go while nothing changes, before a route is given back beside them.
	goes = time.Minute
)

// Left is what a sweep has left to do.
type Left int

const (
	// Nothing is left.
	Nothing Left = iota
	// Routes are on the way back, and no requests are sent to a canary any more: its pods may go.
	Routes
	// Requests may be sent to a canary, by a route or by a gateway that lags behind it: its pods have to stay as long.
	Requests
)

// Sweep gives back the routes of a workload that has no release, or does not exist any more, by one write at a time,
// and takes sluice's Services away once no gateway sends requests there.
func (r *Router) Sweep(ctx context.Context, w Workload) (Left, error) {
	list := &corev1.ServiceList{}
	err := r.client.List(ctx, list, client.InNamespace(w.Namespace), client.MatchingLabels{canary.WorkloadLabel: canary.WorkloadLabelValue(w.Name)})
	if err != nil {
		return Nothing, fmt.Errorf("listing sluice's services of namespace %s: %w", w.Namespace, err)
	}
	own := slices.DeleteFunc(list.Items, func(s corev1.Service) bool { return !w.belongs(&s) })
	if left, err := r.sweepRoutes(ctx, w, own); left != Nothing || err != nil {
		return left, err
	}
	for i := range own {
		if own[i].DeletionTimestamp != nil {
			continue
		}
		if err := r.deleteService(ctx, &own[i]); err != nil {
			return Nothing, err
		}
	}
	return Nothing, nil
}

func (r *Router) sweepRoutes(ctx context.Context, w Workload, own []corev1.Service) (left Left, err error) {
	l := &look{Router: r, workload: w, view: &View{workload: w}}
	if err := l.read(ctx); err != nil {
		return Nothing, err
	}
	for _, name := range l.divided(own) {
		names := split.NamesOf(name)
		for _, route := range l.routes {
			p := part{route: route, names: names, companion: l.companion(route, names)}
			share := l.share(p)
			if share == nil && !l.isLeft(p, own) {
				if r.lags(p) {
					left = Requests
				}
				continue
			}
			if share != nil && share.Workload != w.subject() {
				continue // another one's, or nobody knows whose: its release, or its people, will see to it
			}
			l.take(p)
		}
	}
	if len(l.view.parts) > 0 {
		back, err := l.giveBack(ctx)
		return max(left, back), err
	}
	for _, name := range slices.Sorted(maps.Keys(l.canaries)) {
		if canary := l.canaries[name]; len(recorded(canary, w.subject())) > 0 { // the Ingress beside which it stood is gone
			return Requests, r.deleteCanary(ctx, canary)
		}
	}
	return left, nil
}

// giveBack makes the next write towards routes without sluice's Services. Where the stable version serves, what is sent
// to a canary goes there first, and its pods, which no release needs, are given their time to go: else they would get
// requests by their number. Nothing of that is done for a version that goes on.
func (l *look) giveBack(ctx context.Context) (Left, error) {
	early, changed, err := l.tooEarly(ctx)
	if err != nil {
		return Nothing, err
	}
	if !early || l.workload.GoesOn {
		return Requests, l.Steer(ctx, l.view, nil)
	}
	for _, route := range l.view.State.Routes {
		if !canary.SameShare(route.Share, &canary.Share{}) {
			return Requests, l.Steer(ctx, l.view, &canary.Share{})
		}
	}
	switch {
	case slices.ContainsFunc(l.view.parts, l.lags):
		return Requests, nil
	case l.kinds.now().Sub(changed) < goes:
		return Routes, nil
	}
	return Requests, l.Steer(ctx, l.view, nil)
}

// tooEarly tells whether requests to one of the user's Services would reach pods of a canary, or none, although the
// stable version serves; and when that last changed, as far as can be seen.
func (l *look) tooEarly(ctx context.Context) (early bool, changed time.Time, err error) {
	all := &corev1.ServiceList{}
	if err := l.client.List(ctx, all, client.InNamespace(l.workload.Namespace)); err != nil {
		return false, time.Time{}, fmt.Errorf("listing services of namespace %s: %w", l.workload.Namespace, err)
	}
	byName := map[string]*corev1.Service{}
	for i := range all.Items {
		byName[all.Items[i].Name] = &all.Items[i]
	}
	var names []string
	for _, p := range l.view.parts {
		names = append(names, p.names.Service, p.names.Stable)
	}
	ready, err := l.endpoints(ctx, l.workload.Namespace, names)
	if err != nil {
		return false, time.Time{}, err
	}
	changed = l.workload.Written
	for i, p := range l.view.parts {
		s := service{Service: byName[p.names.Service], names: p.names, stable: byName[p.names.Stable], canary: byName[p.names.Canary]}
		if s.Service == nil || s.stable == nil || s.canary == nil || len(ready[p.names.Stable]) == 0 {
			continue
		}
		unfit, last, err := l.unfit(ctx, s, ready)
		if err != nil {
			return false, time.Time{}, err
		}
		early, changed = early || unfit, latest(changed, latest(last, l.view.State.Routes[i].Changed))
	}
	return early, changed, nil
}

// unfit tells whether a Service of the user's selects pods of a canary, lists pods that are gone, or none: its endpoints
// follow pods with a delay of their own. Last is when the canary's pods last came or went.
func (l *look) unfit(ctx context.Context, s service, ready map[string]podSet) (unfit bool, last time.Time, err error) {
	version := s.canary.Spec.Selector[l.workload.HashLabel]
	if version == s.stable.Spec.Selector[l.workload.HashLabel] {
		version = "" // it was promoted
	}
	pods, err := l.pods(ctx, s.Service)
	if err != nil {
		return false, time.Time{}, err
	}
	live := podSet{}
	for _, pod := range pods {
		live[pod.UID] = pod.DeletionTimestamp == nil
		if version == "" || pod.Labels[l.workload.HashLabel] != version {
			continue
		}
		unfit = unfit || live[pod.UID]
		last = latest(last, latest(pod.CreationTimestamp.Time, deleted(pod)))
	}
	listed := ready[s.Name]
	return unfit || len(listed) == 0 || !listed.without(ready[s.names.Stable]).within(live), last, nil
}

// deleted is when somebody deleted a pod: its deletionTimestamp is when its grace period is over.
func deleted(pod metav1.PartialObjectMetadata) time.Time {
	if pod.DeletionTimestamp == nil {
		return time.Time{}
	}
	grace := time.Duration(0)
	if pod.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	return pod.DeletionTimestamp.Add(-grace)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
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

// lags tells whether the provider of a route may do what the route said before. A last write that is far ahead of this
// clock is not believed.
func (r *Router) lags(p part) bool {
	reading, err := providerOf(p.route).Read(p.route, p.companion, p.names)
	if err != nil || reading.None != "" {
		return false
	}
	since, takesUp := r.kinds.now().Sub(split.Written(p.route, p.companion)), canary.TakesUp
	if split.Silent(p.route.GroupVersionKind().GroupKind()) {
		takesUp = canary.Unsaid
	}
	return since > -settles && (since < takesUp || (reading.Waiting != "" && since < settles))
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
