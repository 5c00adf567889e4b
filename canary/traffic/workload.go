package traffic

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"sluice.dev/sluice/canary"
)

// fieldManager is named in managedFields. It owns metadata of routes, and objects of sluice's own.
const fieldManager = client.FieldOwner("sluice")

// Router finds, reads and steers the traffic of workloads.
type Router struct {
	client client.Client // uncached: every read is a quorum read
	kinds  *kinds
}

// New returns a Router whose every read and write goes through the client.
func New(live client.Client, now func() time.Time) *Router {
	return &Router{client: live, kinds: &kinds{client: live, now: now, absent: map[schema.GroupKind]time.Time{}}}
}

// Workload is what has to be known of a workload to find and divide its requests.
type Workload struct {
	Kind, Namespace, Name string
	// Owner is the reference by which sluice's Services go with it.
	Owner metav1.OwnerReference
	// Labels are those of its pod template, Selector is its own.
	Labels   labels.Set
	Selector labels.Selector
	// HashLabel tells the pods of its versions apart: Stable and Canary are its values. An empty one is not known,
	// and what selects by it stays as it is.
	HashLabel, Stable, Canary string
	// Policy is that of its release. Divided are the routes that its state names: "httproute/web".
	Policy  canary.Policy
	Divided []string
	// Written is when a workload without a release was last written, zero where it is gone. GoesOn: its release was
	// ended by somebody who rolls out the new version.
	Written time.Time
	GoesOn  bool
}

// subject names the workload in records: "Deployment/web".
func (w Workload) subject() string { return w.Kind + "/" + w.Name }

// notes are sentences, each once, few enough and short enough for an annotation.
type notes []string

const (
	maxNotes = 10
	maxNote  = 300 // bytes
)

func (n *notes) add(sentence string) {
	sentence = strings.Join(strings.Fields(sentence), " ")
	if len(sentence) > maxNote {
		sentence = strings.ToValidUTF8(sentence[:maxNote-3], "") + "..."
	}
	if len(*n) < maxNotes && !slices.Contains(*n, sentence) {
		*n = append(*n, sentence)
	}
}
