package split

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// CanaryIngressName returns the name of the canary Ingress of an Ingress and a Service's canary:
// "shop-web-canary". One that is too long is cut, and a hash of it added.
func CanaryIngressName(ingress string, names Names) string {
	name := ingress + "-" + names.Canary
	if len(name) <= 253 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:253-9], "-.") + "-" + hex.EncodeToString(sum[:4])
}

// IsCanaryIngress tells whether a route is an Ingress that sluice made beside another one: by its label, or where
// somebody took that away by its record.
func IsCanaryIngress(route *unstructured.Unstructured) bool {
	if route.GroupVersionKind().GroupKind() != Ingress {
		return false
	}
	return route.GetLabels()[WorkloadLabel] != "" || route.GetAnnotations()[nginx+"canary"] == "true" && len(Recorded(route)) > 0
}

// Of the annotations of the main Ingress nginx reads on a canary those that make its upstream; all others it
// takes of the main one. They are copied, since stickiness and hashing would differ between the two. Nothing else
// is: copies would order a second certificate, a second DNS record, or make a GitOps tool believe that the object
// is its own. The class says whose the Ingress is.
var (
	copiedAnnotations = []string{
		"kubernetes.io/ingress.class",
		nginx + "load-balance",
		nginx + "service-upstream",
		nginx + "affinity",
		nginx + "affinity-mode",
		nginx + "affinity-canary-behavior",
	}
	copiedPrefixes = []string{nginx + "upstream-hash-by", nginx + "session-cookie-"}
)

// canaryIngress returns the canary Ingress of a main one that is not split.
func canaryIngress(root node, share Share) (*unstructured.Unstructured, error) {
	annotations, err := annotationsOf(root)
	if err != nil {
		return nil, err
	}
	own := map[string]any{}
	for key, value := range annotations {
		if slices.Contains(copiedAnnotations, key) || slices.ContainsFunc(copiedPrefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			own[key] = value
		}
	}
	own[nginx+"canary"] = "true"
	own[nginx+"canary-weight"] = strconv.Itoa(int(share.Weight))
	if err := annotateMatch(own, share.Match); err != nil {
		return nil, err
	}
	spec, err := canarySpec(root, share.Names)
	if err != nil {
		return nil, err
	}
	main, _, err := root.object("metadata")
	if err != nil {
		return nil, err
	}
	metadata := map[string]any{"name": CanaryIngressName(main.text("name"), share.Names), "annotations": own}
	if namespace := main.text("namespace"); namespace != "" {
		metadata["namespace"] = namespace
	}
	if uid := main.text("uid"); uid != "" {
		// Without the main Ingress it is nothing, and is to go with it.
		metadata["ownerReferences"] = []any{map[string]any{
			"apiVersion": root.text("apiVersion"), "kind": root.text("kind"), "name": main.text("name"), "uid": uid,
		}}
	}
	companion := map[string]any{"apiVersion": root.text("apiVersion"), "kind": root.text("kind"), "metadata": metadata, "spec": spec}
	r := record{Stable: share.Stable, Canary: share.Canary, Workload: share.Workload, Weight: share.Weight, Match: share.Match.String()}
	if err := (records{}).set(node{"", companion}, share.Service, &r); err != nil {
		return nil, err
	}
	return (&unstructured.Unstructured{Object: companion}).DeepCopy(), nil
}

// nginx ignores an annotation that has other characters than these.
var (
	nginxBasic   = regexp.MustCompile(`^[A-Za-z0-9/\-._~:]+$`)
	nginxPattern = regexp.MustCompile(`^[A-Za-z0-9/\-._~:^$\[\](){}*+?|&=\\]+$`)
)

func annotateMatch(annotations map[string]any, match Match) error {
	switch {
	case match == (Match{}):
		return nil
	case match.Cookie != "" && match.Value != "always":
		return fmt.Errorf("%s: nginx compares no values of cookies: it sends requests to the canary where the cookie is \"always\", and never where it is \"never\"; use cookie:%s=always, or a header", match, match.Cookie)
	case !nginxBasic.MatchString(match.Header + match.Cookie):
		return fmt.Errorf("%s: of the characters in a name nginx takes letters, digits and / - . _ ~ : only", match)
	case match.Cookie != "":
		annotations[nginx+"canary-by-cookie"] = match.Cookie
		return nil
	}
	annotations[nginx+"canary-by-header"] = match.Header
	if nginxBasic.MatchString(match.Value) {
		annotations[nginx+"canary-by-header-value"] = match.Value
		return nil
	}
	pattern := "^" + regexp.QuoteMeta(match.Value) + "$"
	if !nginxPattern.MatchString(pattern) {
		return fmt.Errorf("%s: of the characters in a value nginx takes letters, digits and / - . _ ~ : ^ $ [ ] ( ) { } * + ? | & = \\ only", match)
	}
	annotations[nginx+"canary-by-header-pattern"] = pattern
	return nil
}

// canarySpec returns the hosts and paths of the main Ingress that the Service has, with the canary's Service. nginx
// wants the same host, path and type of path; an empty path it takes for "/" on the main Ingress only.
func canarySpec(root node, names Names) (map[string]any, error) {
	backends, err := ingressBackends(root)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{}
	var rules []any
	var last node
	for _, b := range backends {
		if b.service.text("name") != names.Service {
			continue
		}
		service := b.service.with("name", names.Canary).fields
		if b.path.at == "" {
			if !hasRules(root) {
				spec["defaultBackend"] = map[string]any{"service": service}
			}
			continue
		}
		path := b.path.with("backend", map[string]any{"service": service})
		if path.text("path") == "" {
			path.fields["path"] = "/"
		}
		if len(rules) > 0 && last.at == b.rule.at {
			http := rules[len(rules)-1].(map[string]any)["http"].(map[string]any)
			http["paths"] = append(http["paths"].([]any), path.fields)
			continue
		}
		last = b.rule
		rules = append(rules, b.rule.with("http", map[string]any{"paths": []any{path.fields}}).fields)
	}
	if len(rules) > 0 {
		spec["rules"] = rules
	}
	main, _, _ := root.object("spec")
	if class, ok := main.fields["ingressClassName"]; ok {
		spec["ingressClassName"] = class
	}
	tls, err := tlsOf(main, rules)
	if len(tls) > 0 {
		spec["tls"] = tls
	}
	return spec, err
}

func hasRules(root node) bool {
	spec, _, _ := root.object("spec")
	rules, _ := spec.objects("rules")
	return len(rules) > 0
}

// tlsOf returns the entries for the hosts of rules, maybe by a wildcard. One without hosts is for all.
func tlsOf(main node, rules []any) ([]any, error) {
	entries, err := main.objects("tls")
	if err != nil {
		return nil, err
	}
	concerned := map[string]bool{}
	for _, rule := range rules {
		host, _ := rule.(map[string]any)["host"].(string)
		concerned[host] = true
		if _, domain, ok := strings.Cut(host, "."); ok {
			concerned["*."+domain] = true
		}
	}
	var kept []any
	for _, entry := range entries {
		hosts, _ := entry.fields["hosts"].([]any)
		concerns := func(host any) bool { name, _ := host.(string); return concerned[name] }
		if len(hosts) == 0 || slices.ContainsFunc(hosts, concerns) {
			kept = append(kept, entry.fields)
		}
	}
	return kept, nil
}

// isCanary tells whether nginx takes an Ingress for a canary.
func isCanary(annotations map[string]any) bool {
	text, _ := annotations[nginx+"canary"].(string)
	is, err := strconv.ParseBool(text)
	return is && err == nil
}
