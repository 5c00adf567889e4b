package split

import "fmt"

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
	// recorded is what the record has of it, nil where it has nothing.
	recorded *backendRecord
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
	rewritten := count(entries, service)+count(entries, stable) > 0
	inRule := w.ruleKey(rule)
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
		case e.role == canary && (paired || rewritten):
		default:
			p := &pair{entry: e, nth: nth, key: inRule + w.backendKey(w.named(e.node, names.Service)), sum: e.weight, lone: !paired}
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

// halves returns, for each half of a pair, the index of the other one: the first canary that is the same but for
// name and weight, else one that stands right behind.
func (w weighted) halves(entries []entry, names Names) map[int]int {
	halves := map[int]int{}
	bare := make([]string, len(entries))
	for i, e := range entries {
		if e.role == stable || e.role == canary {
			bare[i] = jsonOf(w.named(e.with("weight", nil), names.Service).fields)
		}
	}
	left := map[string][]int{}
	for j := range entries {
		if free(halves, entries, j, canary) {
			left[bare[j]] = append(left[bare[j]], j)
		}
	}
	for i := range entries {
		if same := left[bare[i]]; len(same) > 0 && free(halves, entries, i, stable) {
			halves[i], halves[same[0]] = same[0], i
			left[bare[i]] = same[1:]
		}
	}
	for i := range entries {
		if j := i + 1; j < len(entries) && free(halves, entries, i, stable) && free(halves, entries, j, canary) {
			halves[i], halves[j] = j, i
		}
	}
	return halves
}

func free(halves map[int]int, entries []entry, i int, of role) bool {
	_, taken := halves[i]
	return !taken && entries[i].role == of
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
