package eject

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/canary/traffic/split"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// stand is where a route's requests for a Service go.
type stand int

const (
	// toBoth: the canary gets some of them, or nobody can tell.
	toBoth stand = iota + 1
	// toStable: all go to the stable version's own Service.
	toStable
	// toService: they go to the Service itself, and nothing of sluice's is on the route.
	toService
)

// part is a route's part for one Service.
type part struct {
	route, canary *unstructured.Unstructured // canary is the canary Ingress, nil: there is none
	resource      schema.GroupVersionResource
	names         split.Names
}

// front is what sluice has in front of a workload.
type front struct {
	// services are sluice's own, of the workload's two versions.
	services []unstructured.Unstructured
	// parts are those that hold something of sluice's, strays the canary Ingresses of none of them.
	parts  []part
	strays []part
	// returned send their requests to the Service itself, beside which sluice's stand.
	returned []part
	// others are divided by another workload's release, between the same Services.
	others []part
	// claimed are routes of which this program owns fields.
	claimed []part
}

func (f *front) empty() bool {
	return len(f.services) == 0 && len(f.parts) == 0 && len(f.strays) == 0
}

// routes names the routes, each once: "httproute/web".
func (f *front) routes() []string {
	var names []string
	for _, p := range f.parts {
		if !slices.Contains(names, p.String()) {
			names = append(names, p.String())
		}
	}
	return names
}

// write is one that takes an object out of the way of requests.
type write struct {
	resource schema.GroupVersionResource
	name     string
	verbs    []string
}

// writes are all that a front takes. The verb bypass is for a sluice that is alive.
func (f *front) writes() []write {
	if f == nil {
		return nil
	}
	var all []write
	for _, p := range slices.Concat(f.parts, f.strays) {
		if p.canary != nil {
			all = append(all, write{p.resource, p.canary.GetName(), []string{"delete"}})
		}
		if p.canary != p.route {
			all = append(all, write{p.resource, p.route.GetName(), []string{"update", canary.VerbBypass}})
		}
	}
	for i := range f.services {
		all = append(all, write{services, f.services[i].GetName(), []string{"delete"}})
	}
	return all
}

func (p part) String() string { return strings.ToLower(p.route.GetKind()) + "/" + p.route.GetName() }

func (p part) provider() split.Provider {
	provider, _ := split.For(p.route.GroupVersionKind().GroupKind()) // only kinds that have one are listed
	return provider
}

// stand returns where the requests go. What cannot be restored is an error.
func (p part) stand() (stand, error) {
	restored, err := p.restored()
	if err != nil {
		return 0, err
	}
	if p.canary == nil && equality.Semantic.DeepEqual(restored.Object, p.route.Object) {
		return toService, nil
	}
	reading, err := p.provider().Read(p.route, p.canary, p.names)
	if err == nil && reading.None == "" && reading.Split && reading.Weight == 0 && reading.Match == (split.Match{}) {
		return toStable, nil
	}
	return toBoth, nil
}

// restored returns the route with nothing of sluice's for the Service.
func (p part) restored() (*unstructured.Unstructured, error) {
	route, err := p.provider().Restore(p.route, p.names)
	if err != nil {
		return nil, err
	}
	if len(recorded(route)) == 0 {
		route = route.DeepCopy()
		route.SetAnnotations(with(route.GetAnnotations(), map[string]*string{split.RecordAnnotation: nil}))
		route.SetLabels(with(route.GetLabels(), map[string]*string{split.ActiveLabel: nil}))
		withoutEmpty(route)
	}
	return route, nil
}

// withoutEmpty removes maps of metadata that have nothing in them, which the API server does not store.
func withoutEmpty(route *unstructured.Unstructured) {
	for field, values := range map[string]map[string]string{"annotations": route.GetAnnotations(), "labels": route.GetLabels()} {
		if len(values) == 0 {
			unstructured.RemoveNestedField(route.Object, "metadata", field)
		}
	}
}

// aside returns the route with every request going to the stable version's Service; false where that cannot be.
func (p part) aside(of workload.Ref) (*unstructured.Unstructured, bool) {
	result, err := p.provider().Split(p.route, split.Share{Names: p.names, Workload: subjectOf(of)})
	return result.Route, err == nil
}

// sends tells whether the route sends requests to the Service.
func (p part) sends() bool {
	reading, err := p.provider().Read(p.route, p.canary, p.names)
	return err == nil && reading.None == ""
}

// waiting says what the route's provider has not accepted yet, empty where it has, or does not say.
func (p part) waiting() string {
	reading, err := p.provider().Read(p.route, p.canary, p.names)
	if err != nil {
		return ""
	}
	return reading.Waiting
}

// claimedByUs tells whether this program owns fields of an object.
func claimedByUs(object metav1.Object) bool {
	return slices.ContainsFunc(object.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == canary.EjectManager })
}

// subjectOf names a workload as records do: "Deployment/web".
func subjectOf(ref workload.Ref) string { return ref.Kind.Name + "/" + ref.Name }

// entry is what a record says of one Service, whether it is in force, is to end, or is not sluice's.
type entry struct {
	Stable   string `json:"stable"`
	Canary   string `json:"canary"`
	Workload string `json:"workload"`
}

// recorded returns what the record of a route says, by Service; none where it cannot be read.
func recorded(route metav1.Object) map[string]entry {
	var entries map[string]entry
	if json.Unmarshal([]byte(route.GetAnnotations()[split.RecordAnnotation]), &entries) != nil {
		return nil
	}
	return entries
}

// namesFor returns the Services of a record's entry.
func (r entry) namesFor(service string) split.Names {
	names := split.Names{Service: service, Stable: r.Stable, Canary: r.Canary}
	if r.Stable == "" || r.Canary == "" || r.Stable == r.Canary {
		return split.NamesOf(service)
	}
	return names
}

// besideAnnotation, on one of sluice's Services, names the one beside which it stands.
const besideAnnotation = "sluice.dev/service"

// ownersOf returns whose release made an object, or divided a route. Where nothing says it, it is a Deployment of
// the Service's name, or the object's.
func ownersOf(object *unstructured.Unstructured) []workload.Ref {
	var refs []workload.Ref
	add := func(kind *workload.Kind, name string) {
		if ref := (workload.Ref{Kind: kind, Namespace: object.GetNamespace(), Name: name}); !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	entries := recorded(object)
	for _, service := range slices.Sorted(maps.Keys(entries)) {
		r := entries[service]
		if kind, name, ok := strings.Cut(r.Workload, "/"); ok && workload.KindOf(kind) != nil {
			add(workload.KindOf(kind), name)
		} else {
			add(workload.Deployment, service)
		}
	}
	for _, owner := range object.GetOwnerReferences() {
		if kind := workload.KindOf(owner.Kind); kind != nil && strings.HasPrefix(owner.APIVersion, "apps/") {
			add(kind, owner.Name)
		}
	}
	if name := object.GetLabels()[canary.WorkloadLabel]; len(refs) == 0 && name != "" {
		add(workload.Deployment, name)
	}
	if len(refs) == 0 {
		add(workload.Deployment, object.GetName())
	}
	return refs
}

// of tells whether something that sluice made, or divides, is a workload's. The label of a long name is shortened.
func of(object *unstructured.Unstructured, ref workload.Ref) bool {
	return slices.ContainsFunc(ownersOf(object), func(owner workload.Ref) bool { return sameWorkload(owner, ref) })
}

func sameWorkload(a, b workload.Ref) bool {
	return a.Kind == b.Kind && a.Namespace == b.Namespace && canary.WorkloadLabelValue(a.Name) == canary.WorkloadLabelValue(b.Name)
}
