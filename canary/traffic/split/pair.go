package split

import (
	"encoding/json"
	"fmt"
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
	// key is that of the backend without its weight, as in the record.
	key string
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
	for i, e := range entries {
		half, paired := halves[i]
		switch {
		case e.role == other:
			beside += e.weight
			list = append(list, e.fields)
		case e.role == service:
			list = append(list, e.fields)
		case e.role == canary && (paired || count(entries, service)+count(entries, stable) > 0):
		default:
			p := &pair{entry: e, key: w.keyOf(e, names), sum: e.weight, lone: !paired}
			if paired {
				p.sum += entries[half].weight
			}
			p.node = w.named(e.with("weight", nil), names.Service)
			p.at = fmt.Sprintf("%s[%d]", rule.path(w.backends), len(list))
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
	join(func(i, j int) bool {
		return j == i+1 && w.keyOf(entries[i], names) == w.keyOf(entries[j], names)
	})
	join(func(i, j int) bool { return w.keyOf(entries[i], names) == w.keyOf(entries[j], names) })
	join(func(i, j int) bool { return j == i+1 })
	return halves
}

func (w weighted) keyOf(e entry, names Names) string {
	return keyOf(w.named(e.with("weight", nil), names.Service).fields)
}

func count(entries []entry, of role) int {
	n := 0
	for _, e := range entries {
		if e.role == of {
			n++
		}
	}
	return n
}

// reweigh gives the joined backends the weights that the record has of them: of the same backend at the same
// place, else of the same backend, else of the place. Rules and backends may have moved or changed since.
func (w weighted) reweigh(pairs []*pair, records []backendRecord) {
	used := make([]bool, len(records))
	found := map[*pair]backendRecord{}
	for _, fits := range []func(*pair, backendRecord) bool{
		func(p *pair, r backendRecord) bool { return r.At == p.at && r.Key == p.key },
		func(p *pair, r backendRecord) bool { return r.Key == p.key },
		func(p *pair, r backendRecord) bool { return r.At == p.at },
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
