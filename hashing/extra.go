package hashing

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
)

const extraGrammar = "a comma list of configmap/NAME and secret/NAME; for example \"configmap/flags, secret/license\""

// ParseExtra parses a list of extra objects: objects that count as config of a workload although its pod
// template does not refer to them, with all of their keys. Pods do not wait for them, so they are optional. The error
// names the faulty entry and the grammar.
func ParseExtra(value string) ([]Reference, error) {
	var refs []Reference
	for _, entry := range strings.Split(value, ",") {
		entry = strings.TrimSpace(entry)
		kind, name, _ := strings.Cut(entry, "/")
		ref := Reference{Name: name, Optional: true}
		switch kind {
		case "configmap":
			ref.Kind = ConfigMap
		case "secret":
			ref.Kind = Secret
		default:
			return nil, fmt.Errorf("%q: it is neither configmap/NAME nor secret/NAME; want %s", entry, extraGrammar)
		}
		if faults := validation.NameIsDNSSubdomain(name, false); len(faults) > 0 {
			return nil, fmt.Errorf("%q: %s; want %s", entry, faults[0], extraGrammar)
		}
		refs = append(refs, ref)
	}
	return merge(refs), nil
}

// Join returns one reference per object, sorted by kind and name: an object that is required by one of the lists is
// required, and all keys are used that one of them uses.
func Join(refs, extra []Reference) []Reference {
	if len(extra) == 0 {
		return refs
	}
	all := make([]Reference, 0, len(refs)+len(extra))
	return merge(append(append(all, refs...), extra...))
}
