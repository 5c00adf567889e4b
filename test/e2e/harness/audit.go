package harness

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"

	"github.com/stretchr/testify/require"
)

// Reviewed returns the writes to Deployments and StatefulSets of this namespace until now, dry runs included, each with
// whether the API server called sluice for it, as its audit log says.
func (n *Namespace) Reviewed() []Review {
	n.t.Helper()
	var reviews []Review
	for _, entry := range n.audited() {
		if o := entry.ObjectRef; (o.Resource == "deployments" || o.Resource == "statefulsets") && o.Subresource == "" {
			reviews = append(reviews, Review{entry.Verb, entry.User.Username, callsSluice(entry.Annotations, ""), callsSluice(entry.Annotations, "round_1")})
		}
	}
	return reviews
}

// EditsOfConfig returns how often each ConfigMap and Secret of this namespace was updated until now, dry runs
// included, by resource and name as "secrets/db", and for how many of these sluice answered.
func (n *Namespace) EditsOfConfig() (edits, answered map[string]int) {
	n.t.Helper()
	edits, answered = map[string]int{}, map[string]int{}
	for _, entry := range n.audited() {
		o := entry.ObjectRef
		if o.Resource != "configmaps" && o.Resource != "secrets" || entry.Verb != "update" && entry.Verb != "patch" {
			continue
		}
		edits[o.Resource+"/"+o.Name]++
		if entry.Annotations["config.sluice.dev/verdict"] != "" {
			answered[o.Resource+"/"+o.Name]++
		}
	}
	return edits, answered
}

// AuditAnnotations returns the values of an annotation of the audit log, of the writes to a resource of this
// namespace until now.
func (n *Namespace) AuditAnnotations(resource, key string) []string {
	n.t.Helper()
	var values []string
	for _, entry := range n.audited() {
		if value, ok := entry.Annotations[key]; ok && entry.ObjectRef.Resource == resource {
			values = append(values, value)
		}
	}
	return values
}

// audited is a write as the audit log has it.
type audited struct {
	Verb        string
	User        struct{ Username string }
	ObjectRef   struct{ Resource, Subresource, Namespace, Name string }
	Annotations map[string]string
}

// audited returns the writes of this namespace until now.
func (n *Namespace) audited() []audited {
	n.t.Helper()
	file, err := os.Open(n.Env.Cluster.AuditLog())
	require.NoError(n.t, err)
	defer file.Close()
	var entries []audited
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry audited
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue // the line being written now
		}
		if entry.ObjectRef.Namespace == n.Name {
			entries = append(entries, entry)
		}
	}
	require.NoError(n.t, lines.Err())
	return entries
}

// Review is a write, whether sluice was called for it, and whether it was called again since another webhook
// had changed the object.
type Review struct {
	Verb, User    string
	Called, Again bool
}

// callsSluice: the API server notes each mutating webhook that it calls, whatever the answer. The
// validating ones are called for the same requests: their selectors and conditions are equal.
func callsSluice(annotations map[string]string, round string) bool {
	for key, value := range annotations {
		if strings.HasPrefix(key, "mutation.webhook.admission.k8s.io/"+round) && strings.Contains(value, `.sluice.dev"`) {
			return true
		}
	}
	return false
}

// AuditOf returns what the audit log says of each write to an object until now, dry runs included.
func (n *Namespace) AuditOf(resource, name string) []map[string]string {
	n.t.Helper()
	var annotations []map[string]string
	for _, entry := range n.audited() {
		if entry.ObjectRef.Resource == resource && entry.ObjectRef.Name == name {
			annotations = append(annotations, entry.Annotations)
		}
	}
	return annotations
}
