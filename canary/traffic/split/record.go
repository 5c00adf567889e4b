package split

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// mostServices can be split on one route. More of them in a record are not sluice's; each costs a pass.
const mostServices = 32

// records are what RecordAnnotation holds, by Service.
type records map[string]record

// record is what was split for one Service.
type record struct {
	Stable string `json:"stable"`
	Canary string `json:"canary"`
	// Workload is whose release it is.
	Workload string `json:"workload,omitempty"`
	// Weight and Match are those of the Share. An Ingress itself has none, so that a new weight writes only the
	// canary Ingress.
	Weight int32  `json:"weight,omitempty"`
	Match  string `json:"match,omitempty"`
	// Ended: the Service is to be restored. What is needed for that stays in the record until it is.
	Ended bool `json:"ended,omitempty"`
	// Backends are what cannot be read of the pairs.
	Backends []backendRecord `json:"backends,omitempty"`
}

// backendRecord is one backend before it was split.
type backendRecord struct {
	// At is its place: the rule among those with backends of the Service, and the backend among these.
	At string `json:"at"`
	// Key is a hash of rule and backend: the place changes when rules are added.
	Key string `json:"key"`
	// Weight is its weight as it was written, absent where it had none.
	Weight json.RawMessage `json:"weight,omitempty"`
	// Sum is what the weights of the pair added up to.
	Sum int64 `json:"sum"`
}

// recordsOf reads the annotation. It is JSON that anybody may have changed: what cannot be read counts for
// nothing, and Restore goes by the names of the Services.
func recordsOf(root node) (records, error) {
	annotations, err := annotationsOf(root)
	if err != nil {
		return nil, err
	}
	text, _ := annotations[RecordAnnotation].(string)
	var all records
	if !json.Valid([]byte(text)) || json.Unmarshal([]byte(text), &all) != nil || len(all) > mostServices {
		all = nil
	}
	return all, nil
}

// set writes the annotation with another record of one Service, nil for none.
func (all records) set(root node, service string, r *record) error {
	text, err := all.with(service, r)
	if err != nil {
		return err
	}
	return setRecord(root, text)
}

// with returns the annotation's value with another record of one Service, nil for none; "" where none is left.
func (all records) with(service string, r *record) (string, error) {
	kept := records{}
	for name, other := range all {
		if name != service {
			kept[name] = other
		}
	}
	if r != nil {
		kept[service] = *r
	}
	return kept.text()
}

// text returns the annotation's value, "" for none.
func (all records) text() (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	text, err := json.Marshal(all)
	if err != nil { // a weight that is no JSON: it was read of JSON
		return "", fmt.Errorf("encoding annotation %s: %w", RecordAnnotation, err)
	}
	return string(text), nil
}

func (r record) match() Match {
	m, err := ParseMatch(r.Match)
	if err != nil {
		return Match{}
	}
	return m
}

// Recorded returns the shares that a route is split for by its record, by Service; none where there is no record,
// or one that is not sluice's. Admission needs them of the old object, where the new one has lost its record. Of an
// Ingress they have neither weight nor match: its canary Ingress has them.
func Recorded(route *unstructured.Unstructured) map[string]Share {
	return sharesOf(route, func(r record) bool { return !r.Ended })
}

// recordedEver has the shares that are to end, too.
func recordedEver(route *unstructured.Unstructured) map[string]Share {
	return sharesOf(route, func(record) bool { return true })
}

func sharesOf(route *unstructured.Unstructured, counts func(record) bool) map[string]Share {
	if route == nil {
		return nil
	}
	all, err := recordsOf(node{"", route.Object})
	if err != nil {
		return nil
	}
	shares := map[string]Share{}
	for service, r := range all {
		share := Share{Names: Names{service, r.Stable, r.Canary}, Weight: r.Weight, Match: r.match()}
		if workload.MatchString(r.Workload) {
			share.Workload = r.Workload
		}
		if counts(r) && share.validate() == nil && share.Names == NamesOf(service) { // no others are sluice's
			shares[service] = share
		}
	}
	return shares
}

// hashOf is the same for the same JSON. It is short: the record is to be, and where two are alike by chance, a
// weight can be that of the other.
func hashOf(of any) string {
	sum := sha256.Sum256([]byte(jsonOf(of)))
	return hex.EncodeToString(sum[:4])
}

func jsonOf(of any) string {
	text, err := json.Marshal(of)
	if err != nil { // what was decoded of JSON can be encoded
		return ""
	}
	return string(text)
}
