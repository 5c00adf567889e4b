package split

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// weighted is a provider whose rules list backends with weights: spec.<rules>[].<backends>[]. Its fields are what
// the kinds differ in.
type weighted struct {
	rules, backends string
	// implied is the weight of a backend that names none, highest the greatest that the API allows.
	implied, highest int64
	// mostBackends of a rule and mostRules the API allows; 0: any number.
	mostBackends, mostRules int
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
	// beside returns the weights of what a rule sends elsewhere than to its backends.
	beside func(rule node) (int64, error)
	// narrowed returns the rule for requests of a Match only; false where no request of the rule can be one.
	narrowed func(rule node, match Match, taken map[string]bool) (node, bool, error)
	// narrow tells whether a rule is for requests of a Match only.
	narrow func(rule node, match Match) bool
	// features are what a rule, or the whole route, does beside weights, as sentences.
	features      func(rule node, pairs []pair) []string
	routeFeatures func(root node, names Names, namespace string) []string
	// waiting says what the route's status lacks.
	waiting func(root node) string
}

// Split is Provider.Split.
func (w weighted) Split(route *unstructured.Unstructured, share Share) (Result, error) {
	if err := share.validate(); err != nil {
		return Result{}, err
	}
	root, split := copied(route)
	all, err := recordsOf(root)
	if err != nil {
		return Result{}, err
	}
	namespace := namespaceOf(root)
	rules, err := w.joined(root, share.Names, all[share.Service])
	if err != nil {
		return Result{}, err
	}
	made, err := w.divided(rules, share, namespace)
	if err != nil {
		return Result{}, err
	}
	if len(made.backends) == 0 {
		return Result{}, none(share.Service, namespace)
	}
	if w.mostRules > 0 && len(made.rules) > w.mostRules {
		return Result{}, fmt.Errorf("spec.%s would have %d entries with those for %s, and %d are allowed", w.rules, len(made.rules), share.Match, w.mostRules)
	}
	root.fields["spec"].(map[string]any)[w.rules] = listOf(made.rules)
	r := record{Stable: share.Stable, Canary: share.Canary, Weight: share.Weight, Match: share.Match.String(), Backends: made.backends}
	return Result{Route: split}, all.set(root, share.Service, &r)
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
	all, err := recordsOf(root)
	if err != nil {
		return nil, err
	}
	rules, err := w.joined(root, names, all[names.Service])
	if err != nil {
		return nil, err
	}
	if spec, ok, _ := root.object("spec"); ok && spec.fields[w.rules] != nil {
		spec.fields[w.rules] = listOf(rules)
	}
	return restored, all.set(root, names.Service, nil)
}

func (w weighted) rulesOf(root node) ([]node, error) {
	spec, _, err := root.object("spec")
	if err != nil {
		return nil, err
	}
	return spec.objects(w.rules)
}

// joined returns the rules as they are without what Split added for the Service. Their places are those of the
// result.
func (w weighted) joined(root node, names Names, r record) ([]node, error) {
	rules, err := w.rulesOf(root)
	if err != nil {
		return nil, err
	}
	namespace := namespaceOf(root)
	var kept []node
	var pairs []*pair
	for _, rule := range rules {
		entries, err := w.entries(rule, names, namespace)
		if err != nil {
			return nil, err
		}
		if w.isVariant(rule, entries, r.match()) {
			continue
		}
		rule.at = fmt.Sprintf("spec.%s[%d]", w.rules, len(kept))
		found, err := w.join(rule, entries, names)
		if err != nil {
			return nil, err
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

// division is what Split makes of the rules.
type division struct {
	rules, variants []node
	backends        []backendRecord
}

func (w weighted) divided(rules []node, share Share, namespace string) (division, error) {
	var d division
	taken := map[string]bool{}
	for _, rule := range rules {
		taken[rule.text("name")] = true
	}
	for _, rule := range rules {
		entries, err := w.entries(rule, share.Names, namespace)
		if err != nil {
			return d, err
		}
		split, records, err := w.divide(rule, entries, share)
		if err != nil {
			return d, err
		}
		d.backends = append(d.backends, records...)
		if len(records) > 0 && share.Match != (Match{}) {
			variant, ok, err := w.variant(rule, entries, share, taken)
			if err != nil {
				return d, err
			}
			if ok && w.variantsInPlace {
				d.rules = append(d.rules, variant)
			} else if ok {
				d.variants = append(d.variants, variant)
			}
		}
		d.rules = append(d.rules, split)
	}
	d.rules = append(d.rules, d.variants...)
	return d, nil
}

// variant returns the rule that sends requests of the Match to the canary alone. A Service that gets nothing of
// the rule gets nothing here.
func (w weighted) variant(rule node, entries []entry, share Share, taken map[string]bool) (node, bool, error) {
	var backends []any
	for _, e := range entries {
		if e.role == service && (e.weight > 0 || w.loneTakesAll && len(entries) == 1) {
			backends = append(backends, w.named(e.node, share.Canary).fields)
		}
	}
	if len(backends) == 0 {
		return node{}, false, nil
	}
	return w.narrowed(rule.with(w.backends, backends), share.Match, taken)
}

// divide returns the rule with a pair for each backend of the Service.
func (w weighted) divide(rule node, entries []entry, share Share) (node, []backendRecord, error) {
	beside, err := w.beside(rule)
	if err != nil {
		return node{}, nil, err
	}
	scale := w.scaleOf(entries, beside)
	var list []any
	var records []backendRecord
	for _, e := range entries {
		if e.role != service {
			list = append(list, e.fields)
			continue
		}
		if err := w.splittable(e.node); err != nil {
			return node{}, nil, err
		}
		total := scale(e.weight)
		toCanary := total * int64(share.Weight) / 100
		list = append(list,
			w.named(e.with("weight", total-toCanary), share.Stable).fields,
			w.named(e.with("weight", toCanary), share.Canary).fields)
		r := backendRecord{At: e.at, Key: keyOf(e.with("weight", nil).fields), Sum: total}
		if value, ok := e.fields["weight"]; ok {
			if r.Weight, err = json.Marshal(value); err != nil {
				return node{}, nil, fmt.Errorf("%s: %w", e.path("weight"), err)
			}
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return rule, nil, nil
	}
	if w.mostBackends > 0 && len(list) > w.mostBackends {
		return node{}, nil, fmt.Errorf("%s would have %d entries, and %d are allowed", rule.path(w.backends), len(list), w.mostBackends)
	}
	return rule.with(w.backends, list), records, nil
}

// scaleOf returns what the weights of a pair have to add up to. Beside others that is the backend's own weight,
// since theirs stay. A Service that is alone has the choice, and takes percent.
func (w weighted) scaleOf(entries []entry, others int64) func(weight int64) int64 {
	var own, greatest, services int64
	for _, e := range entries {
		if e.role != service {
			others += e.weight
			continue
		}
		greatest = max(greatest, e.weight)
		if e.weight > 0 {
			own++
		}
		services++
	}
	lone := w.loneTakesAll && services == 1 && len(entries) == 1
	return func(weight int64) int64 {
		switch {
		case lone:
			return 100
		case weight == 0 || others > 0:
			return weight
		case own == 1:
			return 100
		case greatest <= w.highest/100:
			return weight * 100
		default:
			return weight
		}
	}
}
