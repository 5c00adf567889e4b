package split

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// state is what conditions say of a generation: refused, or not yet looked at; both empty: accepted.
type state struct{ refused, pending string }

func generationOf(root node) int64 {
	metadata, _, _ := root.object("metadata")
	generation, _ := whole(metadata.fields["generation"])
	return generation
}

// observed returns the generation that something was seen at; false where it is not said. Istio writes it as a
// string, as protobuf does.
func observed(of node) (int64, bool) {
	value := of.fields["observedGeneration"]
	if text, ok := value.(string); ok {
		n, err := strconv.ParseInt(text, 10, 64)
		return n, err == nil
	}
	return whole(value)
}

// stateOf looks at the conditions of these types: all have to be True at the generation.
func stateOf(of node, generation int64, types ...string) state {
	conditions, err := of.objects("conditions")
	if err != nil {
		return state{pending: err.Error()}
	}
	var s state
	for _, want := range types {
		i := slices.IndexFunc(conditions, func(c node) bool { return c.text("type") == want })
		if i < 0 {
			s.pending = cmp.Or(s.pending, "there is no condition "+want)
			continue
		}
		c := conditions[i]
		at, said := observed(c)
		switch {
		case said && at < generation:
			s.pending = cmp.Or(s.pending, fmt.Sprintf("condition %s is that of generation %d, not %d", want, at, generation))
		case c.text("status") == "False":
			s.refused = cmp.Or(s.refused, described(c))
		case c.text("status") != "True":
			s.pending = cmp.Or(s.pending, described(c))
		}
	}
	return s
}

// refusedBy looks at a condition that says what is wrong where it is True.
func refusedBy(of node, generation int64, kind string) state {
	conditions, _ := of.objects("conditions")
	for _, c := range conditions {
		if at, said := observed(c); c.text("type") == kind && c.text("status") == "True" && (!said || at >= generation) {
			return state{refused: described(c)}
		}
	}
	return state{}
}

func described(condition node) string {
	text := fmt.Sprintf("%s is %s", condition.text("type"), cmp.Or(condition.text("status"), "not set"))
	if reason := condition.text("reason"); reason != "" {
		text += " (" + reason + ")"
	}
	if message := condition.text("message"); message != "" {
		text += ": " + message
	}
	return text
}
