package split

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Admitted returns the route as admission lets it be stored, of what the request asks for, and warnings for whoever
// asks. The stored route is nil for a CREATE; sluice tells whether sluice's own controller asks. Neither of the two is
// changed. The same again gives the same, and of its own result it makes that result, since the API server may ask
// twice. An error means that the metadata cannot be read.
//
//	the request                                        what is stored
//	CREATE, as of a backup                             restored, without record and label, by whomever
//	UPDATE by sluice                                   split for the shares of its own record, see Ask
//	UPDATE by anybody else                             split for the shares of the stored record
//	a share of a Service that the route has no more    not split for it, and a warning
//	a share that cannot be any more                    not split for it, and a warning: the release waits
//	a route that cannot be read                        as it came, with the stored record
//	a canary Ingress of sluice's                       as it came
//
// A Service of which no share is wanted is restored. ActiveLabel is "true" where the route is split, and else absent,
// whatever the request says.
func Admitted(provider Provider, stored, asked *unstructured.Unstructured, sluice bool) (*unstructured.Unstructured, []string, error) {
	for _, route := range []*unstructured.Unstructured{stored, asked} {
		if err := readable(route); err != nil {
			return nil, nil, err
		}
	}
	of := stored
	if stored == nil {
		of, stored = asked, &unstructured.Unstructured{}
		sluice = false // nothing is split before it is stored
	}
	if isCompanion(provider, of) || sluice && isCompanion(provider, asked) && forCanary(asked) {
		return asked, nil, nil
	}
	known, ok := provider.(inPlace)
	if !ok {
		return nil, nil, fmt.Errorf("this is a bug: no provider that For returns, but %T", provider)
	}
	a := admission{provider: known, kind: asked.GetKind(), had: recordedEver(stored), sent: recordedEver(asked), wanted: Recorded(stored)}
	if sluice {
		a.wanted = Recorded(asked)
	}
	return a.result(stored, asked)
}

// admission is what a request makes of a route: from what it is split for to what it has to be.
type admission struct {
	provider inPlace
	kind     string
	// had are the shares of the stored route, sent those of the request, with those that are to end; wanted those of the
	// result.
	had, sent, wanted map[string]Share
}

func (a admission) result(stored, asked *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	root, route := copied(asked)
	before, err := recordsOf(node{"", stored.Object})
	if err != nil {
		return nil, nil, err
	}
	text := recordText(stored)
	if text != recordText(asked) {
		if text, err = a.record(before, asked); err != nil {
			return nil, nil, err
		}
	}
	if err := setRecord(root, text); err != nil {
		return nil, nil, err
	}
	result, warnings, err := a.divided(route)
	if err == nil {
		return result, append(a.foreign(), warnings...), nil
	}
	if err := setRecord(root, recordText(stored)); err != nil {
		return nil, nil, err
	}
	return route, []string{fmt.Sprintf("sluice cannot read this %s: %v; it is stored as it is, and a release that divides its requests waits", a.kind, err)}, label(root)
}

// record returns the record by which the request is restored: the stored one. It has precedence, but where the
// request is exactly what Split makes of some route by its own record: that is the second time that the API server
// asks, or a file that was saved during a release. Nobody gains by it: whoever sends that could send that route.
func (a admission) record(before records, asked *unstructured.Unstructured) (string, error) {
	own, err := recordsOf(node{"", asked.Object})
	if err != nil {
		return "", err
	}
	merged := records{}
	maps.Copy(merged, own)
	itself := admission{provider: a.provider, kind: a.kind, had: a.sent, wanted: a.sent}
	again, _, err := itself.divided(asked)
	exact := err == nil && recordText(again) == recordText(asked) && reflect.DeepEqual(again.Object["spec"], asked.Object["spec"])
	for service, r := range before {
		if _, ok := own[service]; !ok || !exact {
			merged[service] = r
		}
	}
	if len(merged) > mostServices { // it is not all of sluice's
		merged = before
	}
	return merged.text()
}

// inPlace is a Provider that changes the route it is given. A route can be large, and every copy of it costs more than
// what is decided about it.
type inPlace interface {
	Provider
	restore(root node, names Names) error
	split(root node, share Share) error
}

// divided returns a route split for what is wanted, whatever it is split for by its own record. The error says why
// it cannot be restored.
func (a admission) divided(route *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	root, route := copied(route)
	restored := map[Names]bool{}
	for _, shares := range []map[string]Share{a.had, a.sent, a.wanted} {
		for _, service := range slices.Sorted(maps.Keys(shares)) {
			names := shares[service].Names
			if restored[names] {
				continue
			}
			if err := a.provider.restore(root, names); err != nil {
				return nil, nil, err
			}
			restored[names] = true
		}
	}
	// What the record has still is nobody's.
	if err := setRecord(root, ""); err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, service := range slices.Sorted(maps.Keys(a.wanted)) {
		if err := a.provider.split(root, a.wanted[service]); err != nil {
			warnings = append(warnings, a.undivided(a.wanted[service], err))
		}
	}
	if err := label(root); err != nil {
		return nil, nil, err
	}
	return route.DeepCopy(), warnings, nil
}

// foreign says that the request has a record of Services for which there is no release on this route.
func (a admission) foreign() []string {
	var warnings []string
	for _, service := range slices.Sorted(maps.Keys(a.sent)) {
		_, had := a.had[service]
		if _, wanted := a.wanted[service]; !had && !wanted {
			warnings = append(warnings, fmt.Sprintf("this %s was saved while a release divided the requests of Service %s: sluice stores it without", a.kind, service))
		}
	}
	return warnings
}

// undivided says why a release has no share of a route any more.
func (a admission) undivided(share Share, err error) string {
	release := "a release"
	if share.Workload != "" {
		release = "the release of " + share.Workload
	}
	if errors.Is(err, ErrNoBackend) {
		return fmt.Sprintf("sluice: this %s has no backend of Service %s any more: %s no longer divides requests of it", a.kind, share.Service, release)
	}
	return fmt.Sprintf("sluice: %s waits: it cannot divide the requests of Service %s on this %s, and all go to the Service itself: %v", release, share.Service, a.kind, err)
}

// isCompanion tells whether a route is a canary Ingress of sluice's. No other kind has one, whatever its annotations.
func isCompanion(provider Provider, route *unstructured.Unstructured) bool {
	if _, ok := provider.(ingress); !ok {
		return false
	}
	annotations, _ := annotationsOf(node{"", route.Object})
	return isCanary(annotations) && len(Recorded(route)) > 0
}

// forCanary tells whether an Ingress sends requests to canaries of its record only: one that lost its record, which the
// controller writes again.
func forCanary(route *unstructured.Unstructured) bool {
	backends, err := ingressBackends(node{"", route.Object})
	canaries := map[string]bool{}
	for _, share := range Recorded(route) {
		canaries[share.Canary] = true
	}
	return err == nil && !slices.ContainsFunc(backends, func(b ingressPath) bool { return !canaries[b.service.text("name")] })
}

// readable returns why the metadata of a route cannot be read; nil is readable.
func readable(route *unstructured.Unstructured) error {
	if route == nil {
		return nil
	}
	metadata, _, err := node{"", route.Object}.object("metadata")
	if err != nil {
		return err
	}
	for _, field := range []string{"annotations", "labels"} {
		if _, _, err := metadata.object(field); err != nil {
			return err
		}
	}
	return nil
}

func recordText(route *unstructured.Unstructured) string {
	annotations, _ := annotationsOf(node{"", route.Object})
	text, _ := annotations[RecordAnnotation].(string)
	return text
}

// label sets ActiveLabel of a route as its record has it.
func label(root node) error {
	text := recordText(&unstructured.Unstructured{Object: root.fields})
	if text == "" {
		return mark(root, "labels", ActiveLabel, "")
	}
	return mark(root, "labels", ActiveLabel, "true")
}
