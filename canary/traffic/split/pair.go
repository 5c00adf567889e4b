package split

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// role is whose a backend is.
type role int

const (
	other role = iota
	service
	stable
	canary
)

// entry is a backend of a rule.
type entry struct {
	node
	role   role
	weight int64
}

func (w weighted) entries(rule node, names Names, namespace string) ([]entry, error) {
	backends, err := rule.objects(w.backends)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(backends))
	for _, backend := range backends {
		weight, err := w.weightOf(backend)
		if err != nil {
			return nil, err
		}
		e := entry{node: backend, weight: weight}
		switch w.service(backend, namespace) {
		case names.Service:
			e.role = service
		case names.Stable:
			e.role = stable
		case names.Canary:
			e.role = canary
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (w weighted) weightOf(backend node) (int64, error) {
	value, ok := backend.fields["weight"]
	if !ok || value == nil {
		return w.implied, nil
	}
	weight, ok := whole(value)
	if !ok || weight < 0 || weight > w.highest {
		return 0, fmt.Errorf("%s: %v is not a weight from 0 to %d", backend.path("weight"), value, w.highest)
	}
	return weight, nil
}

// pair is what one backend was split into.
type pair struct {
	entry
	// nth it is among the rule's backends of the Service; place and key are those of the record.
	nth        int
	place, key string
	// sum is that of the two weights; where one half is gone, lone is set, and it is that of the other.
	sum  int64
	lone bool
	// beside is the weight of what else the rule sends requests to.
	beside int64
}

// join puts one backend of the Service back for each pair of a rule, and returns them; reweigh gives them their
// weights. What has only one half, since somebody removed the other, is a backend too; but a canary beside
// backends of the Service is none: those were written anew.
func (w weighted) join(rule node, entries []entry, names Names) ([]*pair, error) {
	beside, err := w.beside(rule)
	if err != nil {
		return nil, err
	}
	halves := w.halves(entries, names)
	var list []any
	var pairs []*pair
	nth := 0
	for i, e := range entries {
		half, paired := halves[i]
		switch {
		case e.role == other:
			beside += e.weight
			list = append(list, e.fields)
		case e.role == service:
			list = append(list, e.fields)
			nth++
		case e.role == canary && (paired || count(entries, service)+count(entries, stable) > 0):
		default:
			p := &pair{entry: e, nth: nth, key: w.recordKey(rule, w.named(e.node, names.Service)), sum: e.weight, lone: !paired}
			if paired {
				p.sum += entries[half].weight
			}
			p.node = w.named(e.with("weight", nil), names.Service)
			nth++
			pairs, list = append(pairs, p), append(list, p.fields)
		}
	}
	for _, p := range pairs {
		p.beside = beside
	}
	if len(list) < len(entries) || len(pairs) > 0 {
		rule.fields[w.backends] = list
	}
	return pairs, nil
}

// halves returns, for each half of a pair, the index of the other one: the next canary that is the same but for
// name and weight, else the one that stands right behind.
func (w weighted) halves(entries []entry, names Names) map[int]int {
	halves := map[int]int{}
	join := func(same func(i, j int) bool) {
		for i := range entries {
			for j := range entries {
				_, taken := halves[i]
				_, used := halves[j]
				if entries[i].role == stable && entries[j].role == canary && !taken && !used && same(i, j) {
					halves[i], halves[j] = j, i
				}
			}
		}
	}
	next := func(i, j int) bool { return j == i+1 }
	alike := func(i, j int) bool {
		return reflect.DeepEqual(w.bare(entries[i], names), w.bare(entries[j], names))
	}
	join(func(i, j int) bool { return next(i, j) && alike(i, j) })
	join(alike)
	join(next)
	return halves
}

// bare is what both halves of a pair have.
func (w weighted) bare(e entry, names Names) map[string]any {
	return w.named(e.with("weight", nil), names.Service).fields
}

// place names a backend by the order of the Service's own, which other Services' pairs and rules do not move.
func place(rule, backend int) string { return fmt.Sprintf("%d/%d", rule, backend) }

func count(entries []entry, of role) int {
	n := 0
	for _, e := range entries {
		if e.role == of {
			n++
		}
	}
	return n
}

// reweigh gives the joined backends the weights that the record has of them. Rules and backends may have moved or
// changed since, so the first of these that fits decides: as many of the same backend in the same rule as before,
// in their order; the same at the same place; the same; the same backend in another rule; the place.
func (w weighted) reweigh(pairs []*pair, records []backendRecord) {
	used := make([]bool, len(records))
	found := map[*pair]backendRecord{}
	for _, fits := range []func(*pair, backendRecord) bool{
		func(p *pair, r backendRecord) bool { return r.Key == p.key && asMany(pairs, records, p.key) },
		func(p *pair, r backendRecord) bool { return r.Key == p.key && r.At == p.place },
		func(p *pair, r backendRecord) bool { return r.Key == p.key },
		func(p *pair, r backendRecord) bool { return inAnyRule(r.Key) == inAnyRule(p.key) },
		func(p *pair, r backendRecord) bool { return r.At == p.place },
	} {
		for _, p := range pairs {
			for i, r := range records {
				if _, ok := found[p]; !ok && !used[i] && fits(p, r) {
					found[p], used[i] = r, true
				}
			}
		}
	}
	for _, p := range pairs {
		r, ok := found[p]
		w.weigh(p, r, ok)
	}
}

func asMany(pairs []*pair, records []backendRecord, key string) bool {
	n := 0
	for _, p := range pairs {
		if p.key == key {
			n++
		}
	}
	for _, r := range records {
		if r.Key == key {
			n--
		}
	}
	return n == 0
}

// recordKey names a backend by the hash of its rule but for the backends, and its own but for the weight.
func (w weighted) recordKey(rule, backend node) string {
	return keyOf(rule.with(w.backends, nil).fields) + "/" + keyOf(backend.with("weight", nil).fields)
}

func inAnyRule(key string) string {
	_, backend, _ := strings.Cut(key, "/")
	return backend
}

// weigh sets a weight. Beside others the sum is the weight, so one that is not what Split wrote is the user's
// new weight.
func (w weighted) weigh(p *pair, r backendRecord, recorded bool) {
	if recorded && (p.lone || p.beside == 0 || p.sum == r.Sum) {
		if len(r.Weight) == 0 {
			return
		}
		var weight any
		if err := json.Unmarshal(r.Weight, &weight); err == nil {
			n, ok := whole(weight)
			switch {
			case weight == nil:
				p.fields["weight"] = nil
				return
			case ok && n >= 0 && n <= w.highest:
				p.fields["weight"] = n
				return
			}
		}
	}
	if p.beside > 0 {
		p.fields["weight"] = p.sum
	}
}
