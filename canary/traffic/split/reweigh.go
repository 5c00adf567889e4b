package split

import (
	"encoding/json"
	"strings"
)

// reweigh gives the joined backends the weights that the record has of them. Rules and backends may have moved or
// changed since, so the first of these that fits decides: as many of the same backend in the same rule as before,
// in their order; the same at the same place; the same; the same backend in another rule; the place.
func (w weighted) reweigh(pairs []*pair, records []backendRecord) {
	type naming struct {
		ofPair   func(*pair) string
		ofRecord func(backendRecord) string
		asMany   bool
	}
	byKey := naming{ofPair: func(p *pair) string { return p.key }, ofRecord: func(r backendRecord) string { return r.Key }}
	inOrder := byKey
	inOrder.asMany = true
	left := records
	for _, by := range []naming{
		inOrder,
		{ofPair: func(p *pair) string { return p.key + p.place }, ofRecord: func(r backendRecord) string { return r.Key + r.At }},
		byKey,
		{ofPair: func(p *pair) string { return inAnyRule(p.key) }, ofRecord: func(r backendRecord) string { return inAnyRule(r.Key) }},
		{ofPair: func(p *pair) string { return p.place }, ofRecord: func(r backendRecord) string { return r.At }},
	} {
		wanted, offered := map[string][]*pair{}, map[string][]backendRecord{}
		for _, p := range pairs {
			if p.recorded == nil {
				wanted[by.ofPair(p)] = append(wanted[by.ofPair(p)], p)
			}
		}
		for _, r := range left {
			offered[by.ofRecord(r)] = append(offered[by.ofRecord(r)], r)
		}
		left = nil
		for _, r := range records {
			// in the order of the record, so that what is left is the same each time
			name := by.ofRecord(r)
			some := offered[name]
			delete(offered, name)
			for i := range some {
				if ps := wanted[name]; i < len(ps) && (!by.asMany || len(ps) == len(some)) {
					ps[i].recorded = &some[i]
				} else {
					left = append(left, some[i])
				}
			}
		}
	}
	for _, p := range pairs {
		w.weigh(p)
	}
}

// ruleKey is a hash of a rule but for its backends, backendKey of a backend but for its weight.
func (w weighted) ruleKey(rule node) string { return hashOf(rule.with(w.backends, nil).fields) + "/" }

func (w weighted) backendKey(backend node) string { return hashOf(backend.with("weight", nil).fields) }

func inAnyRule(key string) string {
	_, backend, _ := strings.Cut(key, "/")
	return backend
}

// weigh sets a weight. Beside others the sum is the weight, so one that is not what Split wrote is the user's
// new weight. So is one of a backend that had none since it was alone, once there are others.
func (w weighted) weigh(p *pair) {
	weight, known := w.recordedWeight(p.recorded)
	meant := w.implied
	if n, ok := whole(weight); ok {
		meant = n
	}
	byRecord := p.lone || p.beside == 0 || p.sum == p.recordedSum() && (meant > 0 || p.sum == 0)
	switch {
	case known && byRecord && weight == absent:
	case known && byRecord:
		p.fields["weight"] = weight
	case p.beside > 0:
		p.fields["weight"] = p.sum
	}
}

// absent is the recorded weight of a backend that had no such field.
var absent = struct{}{}

// recordedWeight returns the weight that a record has, as a JSON value; false where it has none that a backend
// can have.
func (w weighted) recordedWeight(r *backendRecord) (weight any, known bool) {
	if r == nil {
		return nil, false
	}
	if len(r.Weight) == 0 {
		return absent, true
	}
	if err := json.Unmarshal(r.Weight, &weight); err != nil {
		return nil, false
	}
	if weight == nil {
		return nil, true
	}
	n, ok := whole(weight)
	return n, ok && n >= 0 && n <= w.highest
}

func (p *pair) recordedSum() int64 {
	if p.recorded == nil {
		return 0
	}
	return p.recorded.Sum
}
