package split

import (
	"fmt"
	"strings"
)

// gateway is HTTPRoute and GRPCRoute of the Gateway API. The limits are those of its schema, v1.6.
var gateway = weighted{
	rules: "rules", backends: "backendRefs",
	implied: 1, highest: 1_000_000,
	mostBackends:  16,
	service:       gatewayService,
	named:         func(backend node, service string) node { return backend.with("name", service) },
	splittable:    func(node) error { return nil },
	allowed:       gatewayAllowed,
	beside:        func(node) (int64, error) { return 0, nil },
	narrowed:      gatewayNarrowed,
	narrow:        gatewayNarrow,
	features:      gatewayFeatures,
	routeFeatures: func(node, Names, string) []string { return nil },
	waiting:       gatewayWaiting,
}

// gatewayService: a backend is a Service of the route's namespace unless it says otherwise.
func gatewayService(backend node, namespace string) string {
	if backend.text("group") != "" && backend.text("group") != "core" {
		return ""
	}
	if kind := backend.text("kind"); kind != "" && kind != "Service" {
		return ""
	}
	if of := backend.text("namespace"); of != "" && of != namespace {
		return ""
	}
	return backend.text("name")
}

// gatewayAllowed: a route may have 16 rules, with 128 matches in all.
func gatewayAllowed(rules []node) error {
	matches := 0
	for _, rule := range rules {
		list, _ := rule.fields["matches"].([]any)
		matches += len(list)
	}
	if len(rules) > 16 {
		return fmt.Errorf("spec.rules would have %d entries with those for the match, and 16 are allowed", len(rules))
	}
	if matches > 128 {
		return fmt.Errorf("spec.rules would have %d matches with those for the match, and 128 are allowed", matches)
	}
	return nil
}

// gatewayNarrowed adds the condition to each match. The rule has one header match more than the one that it is
// made of, so it comes first wherever it stands; at the end of the list it loses no tie against it. A header that
// a match names already counts once: where it asks for another value, no request is both.
func gatewayNarrowed(rule node, share Share, taken map[string]bool) (node, bool, error) {
	match := share.Match
	matches, err := rule.objects("matches")
	if err != nil {
		return node{}, false, err
	}
	if len(matches) == 0 {
		matches = []node{{rule.path("matches") + "[0]", map[string]any{}}}
	}
	var narrowed []any
	for _, m := range matches {
		headers, err := m.objects("headers")
		if err != nil {
			return node{}, false, err
		}
		condition := gatewayCondition(match)
		there, possible, err := gatewayHeader(headers, condition)
		if err != nil {
			return node{}, false, err
		}
		if !possible {
			continue
		}
		if !there {
			if len(headers) >= 16 {
				return node{}, false, fmt.Errorf("%s has 16 headers already, and no more are allowed: none can be added for %s", m.path("headers"), match)
			}
			m = m.with("headers", append(listOf(headers), condition))
		}
		narrowed = append(narrowed, m.fields)
	}
	if len(narrowed) == 0 {
		return node{}, false, nil
	}
	return named(rule.with("matches", narrowed), share.Canary, taken), true, nil
}

func gatewayCondition(match Match) map[string]any {
	if match.Cookie != "" {
		return map[string]any{"type": "RegularExpression", "name": "cookie", "value": match.cookiePattern()}
	}
	return map[string]any{"type": "Exact", "name": match.Header, "value": match.Value}
}

// gatewayHeader tells whether headers have the condition already, and whether they leave it possible.
func gatewayHeader(headers []node, condition map[string]any) (there, possible bool, err error) {
	for _, h := range headers {
		if !strings.EqualFold(h.text("name"), condition["name"].(string)) {
			continue
		}
		exact := func(kind any) bool { return kind == nil || kind == "" || kind == "Exact" }
		same := h.fields["value"] == condition["value"]
		switch {
		case same && (h.fields["type"] == condition["type"] || exact(h.fields["type"]) && exact(condition["type"])):
			return true, true, nil
		case exact(h.fields["type"]) && exact(condition["type"]):
			return false, false, nil
		default:
			return false, false, fmt.Errorf("%s matches header %s already, and a second condition on it would not count", h.at, h.text("name"))
		}
	}
	return false, true, nil
}

func gatewayNarrow(rule node, match Match) bool {
	matches, err := rule.objects("matches")
	if err != nil || len(matches) == 0 {
		return false
	}
	for _, m := range matches {
		headers, err := m.objects("headers")
		if err != nil {
			return false
		}
		if there, _, err := gatewayHeader(headers, gatewayCondition(match)); err != nil || !there {
			return false
		}
	}
	return true
}

// named gives a rule that was made of another one a name of its own, where that has one: names are unique.
func named(rule node, suffix string, taken map[string]bool) node {
	name := rule.text("name")
	if name == "" {
		return rule
	}
	for taken[name] && len(name)+len(suffix) < 253 {
		name += "-" + suffix
	}
	if taken[name] {
		name = suffix + "-" + hashOf(name)
	}
	taken[name] = true
	return rule.with("name", name)
}

func gatewayFeatures(rule node, pairs []pair) []string {
	var sentences []string
	if rule.fields["sessionPersistence"] != nil {
		sentences = append(sentences, fmt.Sprintf("%s keeps sessions where they are: the weight decides for new ones only", rule.path("sessionPersistence")))
	}
	filters, _ := rule.objects("filters")
	for _, p := range pairs {
		own, _ := p.objects("filters")
		filters = append(filters, own...)
	}
	for _, f := range filters {
		switch f.text("type") {
		case "RequestMirror":
			sentences = append(sentences, f.at+" mirrors requests: the copies are not split")
		case "ExtensionRef":
			sentences = append(sentences, f.at+" is an extension of the gateway: whether it sends requests elsewhere cannot be seen")
		}
	}
	return sentences
}
