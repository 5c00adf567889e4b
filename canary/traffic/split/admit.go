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
	if isCompanion(provider, of) {
		return asked, nil, nil
	}
	a := admission{provider: provider, kind: asked.GetKind(), had: Recorded(stored), sent: Recorded(asked)}
	a.wanted = a.had
	if sluice {
		a.wanted = a.sent
	}
	return a.result(stored, asked)
}

// admission is what a request makes of a route: from what it is split for to what it has to be.
type admission struct {
	provider Provider
	kind     string
	// had are the shares of the stored route, sent those of the request, wanted those of the result.
	had, sent, wanted map[string]Share
}

func (a admission) result(stored, asked *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	root, route := copied(asked)
	before, err := recordsOf(node{"", stored.Object})
	if err != nil {
		return nil, nil, err
	}
	text, err := a.record(before, asked)
	if err != nil {
		return nil, nil, err
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
	return merged.text()
}

// divided returns a route split for what is wanted, whatever it is split for by its own record. The error says why
// it cannot be restored.
func (a admission) divided(route *unstructured.Unstructured) (*unstructured.Unstructured, []string, error) {
	var err error
	for _, shares := range []map[string]Share{a.had, a.sent, a.wanted} {
		if route, err = restoredOf(a.provider, route, shares); err != nil {
			return nil, nil, err
		}
	}
	root, route := copied(route)
	// What the record has still is nobody's: Split would split for it, too.
	if err := setRecord(root, ""); err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, service := range slices.Sorted(maps.Keys(a.wanted)) {
		result, err := a.provider.Split(route, a.wanted[service])
		if err != nil {
			warnings = append(warnings, a.undivided(a.wanted[service], err))
			continue
		}
		route = result.Route
	}
	return route, warnings, label(node{"", route.Object})
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

func restoredOf(provider Provider, route *unstructured.Unstructured, shares map[string]Share) (*unstructured.Unstructured, error) {
	var err error
	for _, service := range slices.Sorted(maps.Keys(shares)) {
		if route, err = provider.Restore(route, shares[service].Names); err != nil {
			return nil, err
		}
	}
	return route, nil
}

// isCompanion tells whether a route is a canary Ingress of sluice's. No other kind has one, whatever its annotations.
func isCompanion(provider Provider, route *unstructured.Unstructured) bool {
	if _, ok := provider.(ingress); !ok {
		return false
	}
	annotations, _ := annotationsOf(node{"", route.Object})
	return isCanary(annotations) && len(Recorded(route)) > 0
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
