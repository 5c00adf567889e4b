package split

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
)

// istio is the http routes of a VirtualService.
var istio = weighted{
	rules: "http", backends: "route",
	implied: 0, highest: 1<<31 - 1,
	loneTakesAll: true, variantsInPlace: true,
	service:       istioService,
	named:         istioNamed,
	splittable:    istioSplittable,
	allowed:       func([]node) error { return nil },
	beside:        func(node) (int64, error) { return 0, nil },
	narrowed:      istioNarrowed,
	narrow:        istioNarrow,
	features:      istioFeatures,
	routeFeatures: istioRouteFeatures,
	waiting:       istioWaiting,
}

// istioService: a host without dots is a Service of the VirtualService's namespace. With dots it is taken as it
// is, so that "web.shop" names no Service, and "web.shop.svc.cluster.local" does.
func istioService(backend node, namespace string) string {
	destination, _, _ := backend.object("destination")
	name, rest, qualified := strings.Cut(destination.text("host"), ".")
	if !qualified {
		return name
	}
	if strings.HasPrefix(rest, namespace+".svc.") {
		return name
	}
	return ""
}

func istioNamed(backend node, service string) node {
	destination, _, _ := backend.object("destination")
	_, rest, qualified := strings.Cut(destination.text("host"), ".")
	if qualified {
		service += "." + rest
	}
	return backend.with("destination", destination.with("host", service).fields)
}

// istioSplittable: a DestinationRule has the subset under the name of the Service. Under another name it is
// unknown, and Envoy answers 503.
func istioSplittable(backend node) error {
	destination, _, _ := backend.object("destination")
	if subset := destination.text("subset"); subset != "" {
		return fmt.Errorf("%s names subset %s, which a DestinationRule defines for this host only: it cannot be split", destination.at, subset)
	}
	return nil
}

// istioNarrowed adds the condition to each match. The first rule that fits counts, so the new one stands right
// before the one that it is made of.
func istioNarrowed(rule node, share Share, taken map[string]bool) (node, bool, error) {
	match := share.Match
	matches, err := rule.objects("match")
	if err != nil {
		return node{}, false, err
	}
	if len(matches) == 0 {
		matches = []node{{rule.path("match") + "[0]", map[string]any{}}}
	}
	name, condition := istioCondition(match)
	var narrowed []any
	for _, m := range matches {
		headers, _, err := m.object("headers")
		if err != nil {
			return node{}, false, err
		}
		without, _, err := m.object("withoutHeaders")
		if err != nil {
			return node{}, false, err
		}
		there, possible, err := istioHeader(headers, without, name, condition)
		if err != nil {
			return node{}, false, err
		}
		if !possible {
			continue
		}
		if !there {
			m = m.with("headers", headers.with(name, condition).fields)
		}
		narrowed = append(narrowed, m.fields)
	}
	if len(narrowed) == 0 {
		return node{}, false, nil
	}
	return named(rule.with("match", narrowed), share.Canary, taken), true, nil
}

func istioCondition(match Match) (string, map[string]any) {
	if match.Cookie != "" {
		return "cookie", map[string]any{"regex": match.cookiePattern()}
	}
	return match.Header, map[string]any{"exact": match.Value}
}

func istioHeader(headers, without node, name string, condition map[string]any) (there, possible bool, err error) {
	if without.fields[name] != nil {
		return false, false, fmt.Errorf("%s excludes requests by header %s already", without.at, name)
	}
	value, ok := headers.fields[name]
	if !ok {
		return false, true, nil
	}
	own, _ := value.(map[string]any)
	exact, isExact := own["exact"].(string)
	switch {
	case reflect.DeepEqual(own, condition):
		return true, true, nil
	case isExact && condition["exact"] != nil && exact != condition["exact"]:
		return false, false, nil
	default:
		return false, false, fmt.Errorf("%s matches header %s already", headers.at, name)
	}
}

func istioNarrow(rule node, match Match) bool {
	matches, err := rule.objects("match")
	if err != nil || len(matches) == 0 {
		return false
	}
	name, condition := istioCondition(match)
	for _, m := range matches {
		headers, _, err := m.object("headers")
		if err != nil || !reflect.DeepEqual(headers.fields[name], any(condition)) {
			return false
		}
	}
	return true
}

func istioFeatures(rule node, _ []pair) []string {
	var sentences []string
	for _, field := range []string{"mirror", "mirrors"} {
		if rule.fields[field] != nil {
			sentences = append(sentences, rule.path(field)+" mirrors requests: the copies are not split")
		}
	}
	return sentences
}

// istioRouteFeatures: connections are not split, only requests.
func istioRouteFeatures(root node, names Names, namespace string) []string {
	spec, _, _ := root.object("spec")
	var sentences []string
	for _, kind := range []string{"tcp", "tls"} {
		routes, _ := spec.objects(kind)
		for _, route := range routes {
			backends, _ := route.objects("route")
			for _, backend := range backends {
				if istioService(backend, namespace) == names.Service {
					sentences = append(sentences, fmt.Sprintf("%s sends connections to Service %s: they are shared by the number of pods", backend.at, names.Service))
				}
			}
		}
	}
	return sentences
}

// istioWaiting: Istio writes a status only where it is told to. Without one there is nothing to wait for.
func istioWaiting(root node) string {
	status, ok, err := root.object("status")
	if err != nil {
		return err.Error()
	}
	if !ok {
		return ""
	}
	generation := generationOf(root)
	if at, said := observed(status); said && at > 0 && at < generation {
		return fmt.Sprintf("Istio has not looked at the VirtualService yet: its status is that of generation %d, not %d", at, generation)
	}
	messages, err := status.objects("validationMessages")
	if err != nil {
		return err.Error()
	}
	for _, message := range messages {
		kind, _, _ := message.object("type")
		if message.text("level") == "ERROR" {
			return fmt.Sprintf("Istio does not accept the VirtualService: %s", strings.TrimSpace(kind.text("code")+" "+kind.text("name")))
		}
	}
	conditions, err := status.objects("conditions")
	if err != nil {
		return err.Error()
	}
	for _, c := range conditions {
		if c.text("type") != "Reconciled" {
			continue
		}
		s := stateOf(status, generation, "Reconciled")
		if wait := cmp.Or(s.refused, s.pending); wait != "" {
			return "the proxies do not have the VirtualService yet: " + wait
		}
	}
	return ""
}
