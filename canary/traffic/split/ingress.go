package split

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ingress is an Ingress of ingress-nginx. It knows no weights in an Ingress: a second one, marked as a canary, has
// the same hosts and paths and another Service, and nginx merges the two. The first one points at the stable
// Service meanwhile, and nothing else of it changes.
type ingress struct{}

const nginx = "nginx.ingress.kubernetes.io/"

// Split is Provider.Split. Where an Ingress is split for the first time, the main one is written before the
// canary Ingress: else the canary's pods get a share of both. It is restored before that goes, since the stable
// Service may have no pods any more.
func (i ingress) Split(route *unstructured.Unstructured, share Share) (Result, error) {
	if err := share.validate(); err != nil {
		return Result{}, err
	}
	restored, err := i.Restore(route, share.Names)
	if err != nil {
		return Result{}, err
	}
	root, main := copied(restored)
	companion, err := i.divided(root, share)
	if err != nil {
		return Result{}, err
	}
	return Result{Route: main, Companion: companion}, nil
}

// split is Split in place, of an Ingress that is not split for the Service.
func (i ingress) split(root node, share Share) error {
	_, err := i.divided(root, share)
	return err
}

// divided splits an Ingress in place, and returns its canary Ingress. Where it fails, the Ingress is as it was.
func (ingress) divided(root node, share Share) (*unstructured.Unstructured, error) {
	all, err := recordsOf(root)
	if err != nil {
		return nil, err
	}
	annotations, err := annotationsOf(root)
	if err != nil {
		return nil, err
	}
	if isCanary(annotations) {
		return nil, fmt.Errorf("metadata.annotations: this is a canary Ingress of another one by %scanary, and nginx knows no canary of a canary", nginx)
	}
	companion, err := canaryIngress(root, share)
	if err != nil {
		return nil, err
	}
	backends, err := ingressBackends(root)
	if err != nil {
		return nil, err
	}
	if rename(backends, map[string]string{share.Service: share.Stable}) == 0 {
		return nil, none(share.Service, namespaceOf(root))
	}
	r := record{Stable: share.Stable, Canary: share.Canary, Workload: share.Workload}
	return companion, all.set(root, share.Service, &r)
}

// Restore is Provider.Restore. The canary Ingress is the caller's to delete.
func (i ingress) Restore(route *unstructured.Unstructured, names Names) (*unstructured.Unstructured, error) {
	if err := names.validate(); err != nil {
		return nil, err
	}
	root, restored := copied(route)
	if err := i.restore(root, names); err != nil {
		return nil, err
	}
	return restored, nil
}

// restore is Restore in place.
func (ingress) restore(root node, names Names) error {
	all, err := recordsOf(root)
	if err != nil {
		return err
	}
	backends, err := ingressBackends(root)
	if err != nil {
		return err
	}
	rename(backends, map[string]string{names.Stable: names.Service, names.Canary: names.Service})
	return all.set(root, names.Service, nil)
}

// ingressPath is a path of a rule, or the default backend, which has no rule.
type ingressPath struct {
	rule, path node
	service    node
}

// ingressBackends returns what sends requests to a Service: in the order of the rules, the default backend last.
func ingressBackends(root node) ([]ingressPath, error) {
	spec, _, err := root.object("spec")
	if err != nil {
		return nil, err
	}
	rules, err := spec.objects("rules")
	if err != nil {
		return nil, err
	}
	var found []ingressPath
	for _, rule := range rules {
		http, _, err := rule.object("http")
		if err != nil {
			return nil, err
		}
		paths, err := http.objects("paths")
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			backend, _, err := path.object("backend")
			if err != nil {
				return nil, err
			}
			service, ok, err := backend.object("service")
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, ingressPath{rule, path, service})
			}
		}
	}
	backend, _, err := spec.object("defaultBackend")
	if err != nil {
		return nil, err
	}
	service, ok, err := backend.object("service")
	if ok {
		found = append(found, ingressPath{service: service})
	}
	return found, err
}

// rename changes the names of Services in place, and returns how many.
func rename(backends []ingressPath, to map[string]string) int {
	n := 0
	for _, b := range backends {
		if name, ok := to[b.service.text("name")]; ok {
			b.service.fields["name"] = name
			n++
		}
	}
	return n
}

// Read is Provider.Read. An Ingress has no status that tells whether nginx has taken it up.
func (ingress) Read(route, companion *unstructured.Unstructured, names Names) (Reading, error) {
	if err := names.validate(); err != nil {
		return Reading{}, err
	}
	root := node{"", route.Object}
	backends, err := ingressBackends(root)
	if err != nil {
		return Reading{}, err
	}
	reading := Reading{Split: true}
	for _, b := range backends {
		switch b.service.text("name") {
		case names.Service:
			reading.Split = false
		case names.Stable:
		case names.Canary:
			reading.Weight = 100
		default:
			continue
		}
		reading.Backends = append(reading.Backends, b.service.at)
	}
	if len(reading.Backends) == 0 {
		return Reading{None: none(names.Service, namespaceOf(root)).Error()}, nil
	}
	if companion != nil {
		if err := readCanary(&reading, node{"", companion.Object}, names); err != nil {
			return Reading{}, err
		}
	}
	reading.Inexact, err = ingressFeatures(root, names)
	return reading, err
}
