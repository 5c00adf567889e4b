package eject

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"sluice.dev/sluice/canary"
)

// mostTries is how often a part is written before somebody else is believed to want it otherwise. An Ingress that is
// given back takes two writes.
const mostTries = 3

// traffic is how far an item's routes are on their way back.
type traffic struct {
	want    stand                // until the canary's pods are gone; 0: nobody has decided yet
	tries   map[string]int       // by part
	undone  map[string]time.Time // since when somebody else wants a part otherwise
	written []written
	alone   time.Time // since when the canary has no pods
	told    bool      // that a gateway is not waited for any longer
}

func (p part) key() string { return p.String() + " " + p.names.Service }

// divert brings the requests to where they stay until the canary's pods are gone. Releases have not ended yet, and
// a sluice that is alive takes some of it back: what it does once they have is not waited for here.
func (e *Ejector) divert(ctx context.Context, item *Item) (waits wait, err error) {
	if item.Gone {
		return wait{}, nil // nothing ends
	}
	f, err := e.steer(ctx, item, 0)
	if err != nil {
		return wait{}, err
	}
	return e.taken(item, f), nil
}

// turnAside is divert after the release has ended. What sluice takes back then it gives back itself, or is dead but
// for its webhook: then the routes are given back at once, which that lets pass.
func (e *Ejector) turnAside(ctx context.Context, item *Item) (waits wait, err error) {
	f, err := e.steer(ctx, item, 0)
	if err != nil {
		return wait{}, err
	}
	if waits, err := e.insist(ctx, item, f, item.traffic.want); waits != (wait{}) || err != nil {
		return waits, err
	}
	return e.taken(item, f), nil
}

// giveBack leaves nothing of sluice's in front of an item, whose canary has no pods any more.
func (e *Ejector) giveBack(ctx context.Context, item *Item) (waits wait, err error) {
	f, err := e.front(ctx, item)
	if err != nil || (f.empty() && len(f.claimed) == 0) {
		return wait{}, err
	}
	if left, err := e.canaryPods(ctx, item, f); err != nil || left {
		return wait{what: "the pods of its canary to go, before requests go to the Service itself"}, err
	}
	if left, err := e.canaryEndpoints(ctx, item, f); err != nil || left {
		return wait{what: "the endpoints of its Services, where pods of its canary still stand"}, err
	}
	if f, err = e.steer(ctx, item, toService); err != nil {
		return wait{}, err
	}
	if waits, err := e.insist(ctx, item, f, toService); waits != (wait{}) || err != nil {
		return waits, err
	}
	if waits := cmp.Or(e.taken(item, f), e.settled(item, f)); waits != (wait{}) {
		return waits, nil
	}
	for _, p := range f.claimed {
		if err := e.disclaim(ctx, p); err != nil {
			return wait{}, err
		}
	}
	return wait{}, e.deleteServices(ctx, item, f)
}

// steer writes one part after another until all are where they are wanted, or somebody else wants them otherwise.
// Without a stand it is the one that was decided on.
func (e *Ejector) steer(ctx context.Context, item *Item, want stand) (*front, error) {
	for {
		f, err := e.front(ctx, item)
		if err != nil {
			return nil, err
		}
		to := want
		if to == 0 {
			if to, err = e.decided(ctx, item, f); err != nil {
				return nil, err
			}
		}
		p := item.next(f, to)
		if p == nil {
			return f, nil
		}
		if _, err := e.bring(ctx, item, *p, to); err != nil {
			return nil, err
		}
	}
}

// next returns a part that is not where it is wanted, nil where all are that nobody else wants otherwise.
func (i *Item) next(f *front, want stand) *part {
	for n := range f.strays {
		if !i.givenUp(f.strays[n]) {
			return &f.strays[n]
		}
	}
	for n := range f.parts {
		if !f.parts[n].reached(want) && !i.givenUp(f.parts[n]) {
			return &f.parts[n]
		}
	}
	return nil
}

func (i *Item) givenUp(p part) bool {
	_, undone := i.traffic.undone[p.key()]
	return undone
}

// reached: what is further on its way back stays there.
func (p part) reached(want stand) bool {
	at, err := p.stand()
	return err == nil && at >= want
}

// bring makes one write towards a stand, and returns false where somebody else undid it in the same request. Of an
// Ingress the canary Ingress goes first: else the canary's pods would get a share of both.
func (e *Ejector) bring(ctx context.Context, item *Item, p part, want stand) (bool, error) {
	if p.canary != nil {
		return true, e.deleteCanary(ctx, item, p)
	}
	after, aside := p.aside(item.Ref)
	if !aside || want == toService {
		var err error
		if after, err = p.restored(); err != nil {
			return false, err
		}
		want = toService
	}
	stored, err := e.client.Resource(p.resource).Namespace(item.Namespace).Update(ctx, after, metav1.UpdateOptions{FieldManager: canary.EjectManager})
	if err != nil {
		return false, fmt.Errorf("giving back %s of namespace %s: %w", p, item.Namespace, err)
	}
	e.wrote(item, p)
	if written := (part{route: stored, resource: p.resource, names: p.names}); !written.reached(want) {
		item.traffic.undone[p.key()] = e.Clock.Now()
		return false, nil
	}
	e.Say(item.Ref, p.done(want))
	return true, nil
}

func (p part) done(at stand) string {
	if at == toStable {
		return fmt.Sprintf("%s: all requests go to the stable version's service %s", p, p.names.Stable)
	}
	return fmt.Sprintf("%s: requests go to service %s again", p, p.names.Service)
}

func (e *Ejector) deleteCanary(ctx context.Context, item *Item, p part) error {
	err := e.client.Resource(p.resource).Namespace(item.Namespace).Delete(ctx, p.canary.GetName(), metav1.DeleteOptions{Preconditions: preconditions(p.canary.GetUID())})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting canary ingress %s/%s: %w", item.Namespace, p.canary.GetName(), err)
	}
	e.wrote(item, p)
	e.Say(item.Ref, fmt.Sprintf("canary ingress %s deleted", p.canary.GetName()))
	return nil
}

// insist gives back what somebody else keeps dividing, once sluice had the time to do it.
func (e *Ejector) insist(ctx context.Context, item *Item, f *front, want stand) (wait, error) {
	for _, p := range f.parts {
		since, undone := item.traffic.undone[p.key()]
		switch {
		case !undone || p.reached(want):
			continue
		case e.Clock.Since(since) < settles:
			return wait{what: fmt.Sprintf("sluice, which is alive, to give back %s", p)}, nil
		}
		brought, err := e.bring(ctx, item, p, toService)
		if err != nil {
			return wait{}, err
		}
		if !brought {
			return wait{}, fmt.Errorf("%s of namespace %s is divided again each time: by sluice, for another workload or for want of the verb %s on it, or by somebody else. "+
				"Take sluice's webhooks out of the way as well: kubectl sluice eject --all -A", p, item.Namespace, canary.VerbBypass)
		}
		return changed, nil // an Ingress takes two writes
	}
	return wait{}, nil
}

// decided returns where the requests go until the canary's pods are gone. A version that goes on gets them by its
// Service, before pods of the other one go. One that does not gets none, as in an abort, where the stable version
// serves alone.
func (e *Ejector) decided(ctx context.Context, item *Item, f *front) (stand, error) {
	t := &item.traffic
	if t.want != 0 {
		return t.want, nil
	}
	t.want = toService
	for _, p := range f.parts {
		if !item.stays(p) {
			return t.want, nil
		}
		if ready, err := e.serves(ctx, item, f, p.names.Stable); err != nil || !ready {
			return t.want, err
		}
	}
	if len(f.parts) > 0 {
		t.want = toStable
	}
	return t.want, nil
}

// stays: the stable version may serve alone. Where an earlier run ended the release, it has said so by the route.
func (i *Item) stays(p part) bool {
	if i.Release == nil {
		return p.reached(toStable)
	}
	return i.Ending != canary.EndPromoted && i.Whole && i.Release.Former == nil
}

// serves tells whether a Service of sluice's has a ready pod.
func (e *Ejector) serves(ctx context.Context, item *Item, f *front, service string) (bool, error) {
	found, err := e.selected(ctx, item, f, service)
	for i := range found {
		for _, c := range found[i].Status.Conditions {
			if found[i].DeletionTimestamp == nil && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return true, nil
			}
		}
	}
	return false, err
}

// canaryPods tells whether a canary that gets no requests by a route has pods that would get some by the Service.
func (e *Ejector) canaryPods(ctx context.Context, item *Item, f *front) (bool, error) {
	if e.Timeout == 0 {
		return false, nil
	}
	for _, p := range f.parts {
		found, err := e.selected(ctx, item, f, p.names.Canary)
		if err != nil {
			return false, err
		}
		for i := range found {
			if p.reached(toStable) && found[i].DeletionTimestamp == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// selected returns the pods of one of sluice's Services.
func (e *Ejector) selected(ctx context.Context, item *Item, f *front, service string) ([]corev1.Pod, error) {
	for i := range f.services {
		selector, _, err := unstructured.NestedStringMap(f.services[i].Object, "spec", "selector")
		if f.services[i].GetName() != service || err != nil || len(selector) == 0 {
			continue
		}
		items, err := e.list(ctx, pods, item.Namespace, labels.SelectorFromSet(selector))
		if err != nil {
			return nil, err
		}
		return decodeAll[corev1.Pod](items)
	}
	return nil, nil
}

// disclaim takes this program off a route's managedFields.
func (e *Ejector) disclaim(ctx context.Context, p part) error {
	after := disowned(p.route)
	if after == nil || equality.Semantic.DeepEqual(after.Object, p.route.Object) {
		return nil
	}
	_, err := e.client.Resource(p.resource).Namespace(p.route.GetNamespace()).Update(ctx, after, metav1.UpdateOptions{FieldManager: canary.EjectManager})
	if err != nil {
		return fmt.Errorf("taking this program off %s of namespace %s: %w", p, p.route.GetNamespace(), err)
	}
	return nil
}

// deleteServices is last: they tell whose the routes were. Those to which requests go on stay.
func (e *Ejector) deleteServices(ctx context.Context, item *Item, f *front) error {
	if len(f.others) > 0 {
		p := f.others[0]
		e.Say(item.Ref, fmt.Sprintf("note: services %s and %s stay, since %s sends requests there for %s: eject that, too",
			p.names.Stable, p.names.Canary, p, recorded(p.route)[p.names.Service].Workload))
		return nil
	}
	for i := range f.services {
		name := f.services[i].GetName()
		err := e.client.Resource(services).Namespace(item.Namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: preconditions(f.services[i].GetUID())})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting service %s/%s: %w", item.Namespace, name, err)
		}
		e.Say(item.Ref, fmt.Sprintf("service %s deleted", name))
	}
	return nil
}
