package canary

import "time"

// Observed is what the controller read, live, of one workload and its release.
type Observed struct {
	Kind        string // Deployment or StatefulSet
	Workload    WorkloadState
	Release     *Release     // never nil
	ReplicaSets []ReplicaSet // of a Deployment
	Pods        []Pod        // of a StatefulSet
	Traffic     Traffic
	// StableRecorded: the ControllerRevision with the stable template exists. Recorded: any of the
	// workload exists, also one of an earlier release.
	StableRecorded, Recorded bool
	// UsesConfig: the template refers to a ConfigMap or Secret.
	UsesConfig bool
	// SettleTime is how long a canary that uses config is awaited.
	SettleTime time.Duration
	// PodTrouble says why a canary pod is not available (pod, container, message), empty where unknown.
	// PodsFail: it is more than that a pod is still starting.
	PodTrouble string
	PodsFail   bool
	// Mute: conditions could not be written just now, and are left alone.
	Mute bool
	// Blocked says why the canary ReplicaSet could not be created just now, empty where it was not tried.
	Blocked string
}

// WorkloadState is the part of a workload that Next needs. Counts are pods.
type WorkloadState struct {
	Name               string
	Generation         int64
	ObservedGeneration int64
	Replicas           int32 // spec
	MinReadySeconds    int32
	TemplateHash       string // HashTemplate
	TemplateDigest     string
	Conditions         []Condition // of the types that sluice sets, also those that others set

	// Of a Deployment.
	Paused            bool
	RollingUpdate     bool   // spec.strategy.type
	MaxSurge          int32  // resolved against Replicas
	MaxUnavailable    int32  // resolved against Replicas, with the API's rule that not both are 0
	Revision          string // annotation deployment.kubernetes.io/revision
	StatusReplicas    int32
	UpdatedReplicas   int32
	AvailableReplicas int32

	// Of a StatefulSet.
	Partition int32
	InOrder   bool // spec.podManagementPolicy OrderedReady
	// Current is the template of status.currentRevision, of which pods below the partition are made;
	// zero where its ControllerRevision is gone.
	Current Revision
}

// Pod is a pod of a StatefulSet.
type Pod struct {
	Name     string
	UID      string
	Index    int32    // its ordinal less spec.ordinals.start
	Template Revision // zero where its ControllerRevision is gone
	Ready    bool
	// Available: ready for minReadySeconds.
	Available   bool
	Terminating bool
}

// Complete tells whether a Deployment's native rollout is over, as the deployment controller defines it.
func (d WorkloadState) Complete() bool {
	return d.ObservedGeneration >= d.Generation && d.UpdatedReplicas == d.Replicas &&
		d.StatusReplicas == d.Replicas && d.AvailableReplicas == d.Replicas
}

// ReplicaSet is a ReplicaSet that the Deployment owns or that a release of it made.
type ReplicaSet struct {
	Name            string
	UID             string
	ResourceVersion string
	// Owned: the Deployment is its controller. Referenced: it has an owner reference to it at all.
	Owned, Referenced bool
	// Labelled: its labels match the Deployment's selector, so that it is or will be adopted.
	Labelled bool
	// ReleaseID is the release that made it, 0 for the Deployment's own.
	ReleaseID int64
	// TemplateHash and TemplateDigest of its pod template.
	TemplateHash, TemplateDigest string
	Revision                     string
	Marks                        Marks
	MinReadySeconds              int32
	Generation                   int64
	ObservedGeneration           int64
	Replicas                     int32 // spec
	StatusReplicas               int32
	AvailableReplicas            int32
}

// Settled tells whether the native controller made exactly what the spec says and all of it is available.
func (r ReplicaSet) Settled() bool {
	return r.ObservedGeneration >= r.Generation && r.StatusReplicas == r.Replicas && r.AvailableReplicas == r.Replicas
}

// Marks are the labels by which a canary ReplicaSet shows the state of its release.
type Marks struct {
	Phase  Phase
	Step   string // "1"
	Weight string // percent of traffic: "20"
}
