package split

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Read is Provider.Read.
func (w weighted) Read(route, _ *unstructured.Unstructured, names Names) (Reading, error) {
	if err := names.validate(); err != nil {
		return Reading{}, err
	}
	root := node{"", route.Object}
	namespace := namespaceOf(root)
	all, err := recordsOf(root)
	if err != nil {
		return Reading{}, err
	}
	rules, err := w.rulesOf(root)
	if err != nil {
		return Reading{}, err
	}
	r, recorded := all[names.Service]
	reading := Reading{Split: true}
	for _, rule := range rules {
		entries, err := w.entries(rule, names, namespace)
		if err != nil {
			return Reading{}, err
		}
		if w.isVariant(rule, entries, r.match()) {
			reading.Match = r.match()
			continue
		}
		w.readRule(&reading, rule, entries, names)
		if recorded {
			reading.Inexact = append(reading.Inexact, w.rounding(rule, entries, r.Weight)...)
		}
	}
	if len(reading.Backends) == 0 {
		return Reading{None: strings.TrimSpace(none(names.Service, namespace).Error())}, nil
	}
	reading.Inexact = append(reading.Inexact, w.routeFeatures(root, names, namespace)...)
	reading.Waiting = w.waiting(root)
	reading.Accepted = acceptedBefore(root)
	return reading, nil
}

func (w weighted) readRule(reading *Reading, rule node, entries []entry, names Names) {
	halves := w.halves(entries, names)
	var pairs []pair
	for i, e := range entries {
		_, paired := halves[i]
		if e.role == other || e.role == canary && paired {
			continue
		}
		reading.Backends = append(reading.Backends, e.at)
		reading.Split = reading.Split && e.role != service
		pairs = append(pairs, pair{entry: e})
	}
	if len(pairs) == 0 {
		return
	}
	toCanary, sum := shared(entries)
	if w.loneTakesAll && len(entries) == 1 {
		toCanary, sum = int64(count(entries, canary)), 1
	}
	if sum > 0 {
		reading.Weight = max(reading.Weight, int32((100*toCanary+sum-1)/sum)) // 0 to 100
	}
	reading.Inexact = append(reading.Inexact, w.features(rule, pairs)...)
}

// shared returns what of a rule's weights is the canary's, and what is the Service's in all.
func shared(entries []entry) (toCanary, sum int64) {
	for _, e := range entries {
		switch e.role {
		case other:
		case canary:
			toCanary, sum = toCanary+e.weight, sum+e.weight
		case service, stable:
			sum += e.weight
		}
	}
	return toCanary, sum
}

// rounding says where whole numbers are not the share. They are rounded down: the canary never gets more.
func (w weighted) rounding(rule node, entries []entry, weight int32) []string {
	toCanary, sum := shared(entries)
	if sum == 0 || toCanary*100 == sum*int64(weight) || count(entries, service) > 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: the canary gets %s%% of the Service's requests instead of %d%%, since beside the weights of other backends theirs add up to %d",
		rule.path(w.backends), percent(toCanary, sum), weight, sum)}
}

// percent returns it with one digit behind the point, where that is not 0.
func percent(part, of int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(part)*100/float64(of)), ".0")
}
