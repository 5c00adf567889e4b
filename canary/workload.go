package canary

import (
	"encoding/json"
	"fmt"

	kjson "sigs.k8s.io/json"
)

// Workload kinds that sluice admits.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
)

// Holdable tells whether workloads of a kind can be held; the others roll out natively.
func Holdable(kind string) bool {
	return kind == Deployment || kind == StatefulSet
}

// Types of a StatefulSet's update strategy.
const (
	onDelete      = "OnDelete"
	rollingUpdate = "RollingUpdate"
)

// Workload is the part of a Deployment, StatefulSet or DaemonSet (apps/v1) that decisions need. It is
// decoded from the raw object: the pod template stays raw, so that fields newer than our libraries
// are compared and carried. It must not be changed once a decision was made on it.
type Workload struct {
	Metadata Metadata `json:"metadata"`
	Spec     Spec     `json:"spec"`
	Status   Status   `json:"status"`

	hash string // see templateHash
}

// Metadata is the part of ObjectMeta that decisions need.
type Metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	UID               string            `json:"uid"`
	Generation        int64             `json:"generation"`
	ResourceVersion   string            `json:"resourceVersion"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	ManagedFields     json.RawMessage   `json:"managedFields"`
}

// Spec is the part of a workload's spec that decisions need.
type Spec struct {
	Replicas                *int32          `json:"replicas"`
	Paused                  bool            `json:"paused"`
	Selector                json.RawMessage `json:"selector"`
	Strategy                Strategy        `json:"strategy"`       // Deployment
	UpdateStrategy          Strategy        `json:"updateStrategy"` // StatefulSet, DaemonSet
	ProgressDeadlineSeconds *int32          `json:"progressDeadlineSeconds"`
	Template                json.RawMessage `json:"template"`
}

// Strategy is a deployment or update strategy.
type Strategy struct {
	Type          string `json:"type"`
	RollingUpdate *struct {
		// Of a Deployment, each an integer or a percent string, raw.
		MaxSurge       json.RawMessage `json:"maxSurge"`
		MaxUnavailable json.RawMessage `json:"maxUnavailable"`
		Partition      *int32          `json:"partition"` // StatefulSet
	} `json:"rollingUpdate"`
}

// MaxSurge returns the raw maxSurge, or nil where there is none.
func (s Strategy) MaxSurge() json.RawMessage {
	if s.RollingUpdate == nil {
		return nil
	}
	return s.RollingUpdate.MaxSurge
}

// Partition returns the partition of a StatefulSet's update strategy, 0 where there is none.
func (s Strategy) Partition() int32 {
	if s.RollingUpdate == nil || s.RollingUpdate.Partition == nil {
		return 0
	}
	return *s.RollingUpdate.Partition
}

// Status is the part of a workload's status that decisions need.
type Status struct {
	ObservedGeneration int64       `json:"observedGeneration"`
	AvailableReplicas  int32       `json:"availableReplicas"`
	Conditions         []Condition `json:"conditions"`
}

// Condition is a condition of a workload's status.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// DecodeWorkload decodes what decisions need from a raw object, case-sensitively as the API server
// does.
func DecodeWorkload(raw []byte) (*Workload, error) {
	var w Workload
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &w); err != nil {
		return nil, fmt.Errorf("decoding the workload: %w", err)
	}
	if len(w.Spec.Template) == 0 || w.Spec.Template[0] != '{' {
		return nil, fmt.Errorf("decoding the workload: spec.template is missing or not an object")
	}
	return &w, nil
}

// Replicas returns spec.replicas, 1 where it is not set.
func (w *Workload) Replicas() int32 {
	if w.Spec.Replicas == nil {
		return 1
	}
	return *w.Spec.Replicas
}

// strategy returns the strategy by which a workload of this kind rolls out.
func (w *Workload) strategy(kind string) Strategy {
	if kind == Deployment {
		return w.Spec.Strategy
	}
	return w.Spec.UpdateStrategy
}

// templateHash returns HashTemplate of the pod template, computed once.
func (w *Workload) templateHash() (string, error) {
	if w.hash == "" {
		hash, err := HashTemplate(w.Spec.Template)
		if err != nil {
			return "", err
		}
		w.hash = hash
	}
	return w.hash, nil
}
