package split

import (
	"fmt"
	"reflect"
)

// apisix is the http rules of an ApisixRoute.
var apisix = weighted{
	rules: "http", backends: "backends",
	implied: apisixWeight, highest: 1<<31 - 1,
	service:       func(backend node, _ string) string { return backend.text("serviceName") },
	named:         func(backend node, service string) node { return backend.with("serviceName", service) },
	splittable:    apisixSplittable,
	allowed:       func([]node) error { return nil },
	beside:        apisixUpstreams,
	narrowed:      apisixNarrowed,
	narrow:        apisixNarrow,
	features:      apisixFeatures,
	routeFeatures: apisixStreams,
	waiting:       apisixWaiting,
}

// apisixWeight is that of a backend that names none.
const apisixWeight = 100

// apisixSplittable: the ApisixUpstream of the Service's name has the subset. Under another name it is unknown.
func apisixSplittable(backend node) error {
	if subset := backend.text("subset"); subset != "" {
		return fmt.Errorf("%s names subset %s, which an ApisixUpstream defines for this Service only: it cannot be split", backend.at, subset)
	}
	return nil
}

// apisixUpstreams returns the weights of the ApisixUpstreams that a rule names beside its backends.
func apisixUpstreams(rule node) (int64, error) {
	upstreams, err := rule.objects("upstreams")
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, upstream := range upstreams {
		value, ok := upstream.fields["weight"]
		if !ok || value == nil {
			sum += apisixWeight
			continue
		}
		weight, ok := whole(value)
		if !ok || weight < 0 || weight > 1<<31-1 {
			return 0, fmt.Errorf("%s: %v is not a weight", upstream.path("weight"), value)
		}
		sum += weight
	}
	return sum, nil
}

// apisixNarrowed adds an expression, which is and-ed with the others, and a higher priority: of rules with the same
// path the one with the highest counts. Upstreams of the rule are not the canary's.
func apisixNarrowed(rule node, share Share, taken map[string]bool) (node, bool, error) {
	match := share.Match
	m, _, err := rule.object("match")
	if err != nil {
		return node{}, false, err
	}
	exprs, err := m.objects("exprs")
	if err != nil {
		return node{}, false, err
	}
	priority, ok := whole(rule.fields["priority"])
	if rule.fields["priority"] != nil && !ok {
		return node{}, false, fmt.Errorf("%s: %v is not a whole number", rule.path("priority"), rule.fields["priority"])
	}
	if rule.text("name") == "" {
		return node{}, false, fmt.Errorf("%s is missing: every rule needs one", rule.path("name"))
	}
	m = m.with("exprs", append(listOf(exprs), apisixCondition(match)))
	rule = rule.with("match", m.fields).with("priority", priority+1).with("upstreams", nil)
	return named(rule, share.Canary, taken), true, nil
}

func apisixCondition(match Match) map[string]any {
	subject := map[string]any{"scope": "Header", "name": match.Header}
	if match.Cookie != "" {
		subject = map[string]any{"scope": "Cookie", "name": match.Cookie}
	}
	return map[string]any{"subject": subject, "op": "Equal", "value": match.Value}
}

func apisixNarrow(rule node, match Match) bool {
	m, _, err := rule.object("match")
	if err != nil {
		return false
	}
	exprs, err := m.objects("exprs")
	if err != nil {
		return false
	}
	for _, expr := range exprs {
		if reflect.DeepEqual(expr.fields, apisixCondition(match)) {
			return true
		}
	}
	return false
}

// apisixFeatures: backends with weights are made a plugin of APISIX, and one of the rule's own takes its place.
func apisixFeatures(rule node, _ []pair) []string {
	var sentences []string
	plugins, _ := rule.objects("plugins")
	for _, plugin := range plugins {
		if plugin.fields["enable"] == false {
			continue
		}
		switch plugin.text("name") {
		case "traffic-split":
			sentences = append(sentences, plugin.at+" is the plugin traffic-split: it decides, and the weights of backends count for nothing")
		case "proxy-mirror":
			sentences = append(sentences, plugin.at+" mirrors requests: the copies are not split")
		}
	}
	if name := rule.text("plugin_config_name"); name != "" {
		sentences = append(sentences, fmt.Sprintf("%s: whether the plugins of %s send requests elsewhere cannot be seen here", rule.path("plugin_config_name"), name))
	}
	return sentences
}

// apisixStreams: connections are not split, only requests.
func apisixStreams(root node, names Names, _ string) []string {
	spec, _, _ := root.object("spec")
	streams, _ := spec.objects("stream")
	var sentences []string
	for _, stream := range streams {
		if backend, _, _ := stream.object("backend"); backend.text("serviceName") == names.Service {
			sentences = append(sentences, fmt.Sprintf("%s sends connections to Service %s: they are shared by the number of pods", stream.at, names.Service))
		}
	}
	return sentences
}

// apisixWaiting: version 2 of the controller writes Accepted, version 1 ResourcesAvailable. Without either there is
// nothing to wait for.
func apisixWaiting(root node) string {
	status, _, err := root.object("status")
	if err != nil {
		return err.Error()
	}
	conditions, err := status.objects("conditions")
	if err != nil {
		return err.Error()
	}
	for _, c := range conditions {
		kind := c.text("type")
		if kind != "Accepted" && kind != "ResourcesAvailable" {
			continue
		}
		s := stateOf(status, generationOf(root), kind)
		if s.refused != "" {
			return "APISIX does not accept the route: " + s.refused
		}
		if s.pending != "" {
			return "APISIX has not accepted the route yet: " + s.pending
		}
	}
	return ""
}
