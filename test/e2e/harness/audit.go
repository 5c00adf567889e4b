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
	file, err := os.Open(n.Env.Cluster.AuditLog())
	require.NoError(n.t, err)
	defer file.Close()
	var reviews []Review
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Verb        string
			User        struct{ Username string }
			ObjectRef   struct{ Resource, Subresource, Namespace string }
			Annotations map[string]string
		}
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue // the line being written now
		}
		if o := entry.ObjectRef; o.Namespace == n.Name && (o.Resource == "deployments" || o.Resource == "statefulsets") && o.Subresource == "" {
			reviews = append(reviews, Review{entry.Verb, entry.User.Username, callsSluice(entry.Annotations, ""), callsSluice(entry.Annotations, "round_1")})
		}
	}
	require.NoError(n.t, lines.Err())
	return reviews
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
