package split

import (
	"encoding/json"
	"fmt"
)

// division is what Split makes of the rules.
type division struct {
	rules, variants []node
	backends        []backendRecord
}

func (w weighted) divided(rules []node, share Share, namespace string) (division, error) {
	var d division
	concerned := 0
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
		for i := range records {
			records[i].At = place(concerned, i)
		}
		if len(records) > 0 {
			concerned++
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
	return w.narrowed(rule.with(w.backends, backends), share, taken)
}

// divide returns the rule with a pair for each backend of the Service.
func (w weighted) divide(rule node, entries []entry, share Share) (node, []backendRecord, error) {
	beside, err := w.beside(rule)
	if err != nil {
		return node{}, nil, err
	}
	scale, inRule := w.scaleOf(entries, beside), w.ruleKey(rule)
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
		r := backendRecord{Key: inRule + w.backendKey(e.node), Sum: total}
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
