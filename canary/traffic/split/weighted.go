package split

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// weighted is a provider whose rules list backends with weights: spec.<rules>[].<backends>[]. Its fields are what
// the kinds differ in.
type weighted struct {
	rules, backends string
	// implied is the weight of a backend that names none, highest the greatest that the API allows.
	implied, highest int64
	// mostBackends the API allows in a rule; 0: any number.
	mostBackends int
	// loneTakesAll: the only backend of a rule gets everything, even with weight 0.
	loneTakesAll bool
	// variantsInPlace: rules count in their order, so that the one with a Match stands before the one that it was
	// made of. Where what is more specific counts, it goes to the end: there nothing else moves.
	variantsInPlace bool

	// service returns which Service of the namespace a backend names, "" for none.
	service func(backend node, namespace string) string
	// named returns the backend with another Service.
	named func(backend node, service string) node
	// splittable returns why a backend of the Service cannot be split.
	splittable func(backend node) error
	// allowed returns why the API refuses so much.
	allowed func(rules []node) error
	// beside returns the weights of what a rule sends elsewhere than to its backends.
	beside func(rule node) (int64, error)
	// narrowed returns the rule for requests of a Match only; false where no request of the rule can be one.
	narrowed func(rule node, share Share, taken map[string]bool) (node, bool, error)
	// narrow tells whether a rule is for requests of a Match only.
	narrow func(rule node, match Match) bool
	// features are what a rule, or the whole route, does beside weights, as sentences.
	features      func(rule node, pairs []pair) []string
	routeFeatures func(root node, names Names, namespace string) []string
	// waiting says what the route's status lacks.
	waiting func(root node) string
}

// Split is Provider.Split. Several Services of a route can be split. They are taken in the order of their names,
// all of them each time, so that the rules they add stand in one order whoever comes last.
func (w weighted) Split(route *unstructured.Unstructured, share Share) (Result, error) {
	if err := share.validate(); err != nil {
		return Result{}, err
	}
	shares := Recorded(route)
	if shares == nil {
		shares = map[string]Share{}
	}
	shares[share.Service] = share
	services := slices.Sorted(maps.Keys(shares))
	var err error
	for _, name := range services {
		if route, err = w.Restore(route, shares[name].Names); err != nil {
			return Result{}, err
		}
	}
	for _, name := range services {
		err := w.split(node{"", route.Object}, shares[name])
		if errors.Is(err, ErrNoBackend) && name != share.Service {
			continue
		}
		if err != nil {
			return Result{}, err
		}
	}
	return Result{Route: route.DeepCopy()}, nil
}

// split splits a route that is not split for the Service, in place. Where it fails, the route is as it was.
func (w weighted) split(root node, share Share) error {
	namespace := namespaceOf(root)
	rules, err := w.rulesOf(root)
	if err != nil {
		return err
	}
	made, err := w.divided(rules, share, namespace)
	if err != nil {
		return err
	}
	if len(made.backends) == 0 {
		return none(share.Service, namespace)
	}
	if err := w.allowed(made.rules); err != nil {
		return err
	}
	all, err := recordsOf(root)
	if err != nil {
		return err
	}
	if len(all) >= mostServices {
		return fmt.Errorf("metadata.annotations[%s]: the route is split for %d Services, and no more are allowed", RecordAnnotation, len(all))
	}
	root.fields["spec"].(map[string]any)[w.rules] = listOf(made.rules)
	r := record{Stable: share.Stable, Canary: share.Canary, Workload: share.Workload, Weight: share.Weight, Match: share.Match.String(), Backends: made.backends}
	return all.set(root, share.Service, &r)
}

func none(service, namespace string) error {
	return fmt.Errorf("%w of Service %s in namespace %s", ErrNoBackend, service, namespace)
}

// Restore is Provider.Restore.
func (w weighted) Restore(route *unstructured.Unstructured, names Names) (*unstructured.Unstructured, error) {
	if err := names.validate(); err != nil {
		return nil, err
	}
	root, restored := copied(route)
	if err := w.restore(root, names); err != nil {
		return nil, err
	}
	return restored.DeepCopy(), nil
}

// restore is Restore in place.
func (w weighted) restore(root node, names Names) error {
	all, err := recordsOf(root)
	if err != nil {
		return err
	}
	rules, err := w.joined(root, names, all[names.Service])
	if err != nil {
		return err
	}
	if spec, ok, _ := root.object("spec"); ok && spec.fields[w.rules] != nil {
		spec.fields[w.rules] = listOf(rules)
	}
	return all.set(root, names.Service, nil)
}

func (w weighted) rulesOf(root node) ([]node, error) {
	spec, _, err := root.object("spec")
	if err != nil {
		return nil, err
	}
	return spec.objects(w.rules)
}

// joined returns the rules as they are without what Split added for the Service.
func (w weighted) joined(root node, names Names, r record) ([]node, error) {
	rules, err := w.rulesOf(root)
	if err != nil {
		return nil, err
	}
	namespace := namespaceOf(root)
	var kept []node
	var pairs []*pair
	concerned := 0
	for _, rule := range rules {
		entries, err := w.entries(rule, names, namespace)
		if err != nil {
			return nil, err
		}
		if w.isVariant(rule, entries, r.match()) {
			continue
		}
		found, err := w.join(rule, entries, names)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			p.place = place(concerned, p.nth)
		}
		if count(entries, other) < len(entries) {
			concerned++
		}
		kept, pairs = append(kept, rule), append(pairs, found...)
	}
	w.reweigh(pairs, r.Backends)
	return kept, nil
}

// isVariant tells whether Split added a rule for a Match: it has the condition, and sends all that it gets to the
// canary.
func (w weighted) isVariant(rule node, entries []entry, match Match) bool {
	if match == (Match{}) || len(entries) == 0 {
		return false
	}
	for _, e := range entries {
		if e.role != canary {
			return false
		}
	}
	return w.narrow(rule, match)
}
