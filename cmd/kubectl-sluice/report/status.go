package report

import (
	"time"

	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

// APIVersion is the version of the structs.
const APIVersion = "sluice.dev/v1"

// Kinds of the structs.
const (
	StatusKind     = "ReleaseStatus"
	StatusListKind = "ReleaseStatusList"
	HistoryKind    = "ReleaseHistory"
)

// Values of Revision.Role.
const (
	RoleStable  = string(workload.Stable)
	RoleCanary  = string(workload.Canary)
	RoleEarlier = string(workload.Earlier)
)

// ReleaseStatus is one workload and where its release stands.
type ReleaseStatus struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Workload is what the release is of.
	Workload Workload `json:"workload"`
	// Release is absent where there is none.
	Release *Release `json:"release,omitempty"`
	// Traffic is absent where there is no release, or nothing sends requests to its canary. In a list: absent.
	Traffic *Traffic `json:"traffic,omitempty"`
	// Revisions are the versions that have pods, are to have some, or take part in the release: stable,
	// canary, then earlier ones. In a list: the canary alone.
	Revisions []Revision `json:"revisions,omitempty"`
	// Changes say how the released pod template differs from the stable one. In a list: absent.
	Changes []Change `json:"changes,omitempty"`
	// Reason is one sentence: why the release waits, or what it is doing.
	Reason string `json:"reason"`
	// Next are the commands that go on from here, the first one first.
	Next []Command `json:"next,omitempty"`
	// Notes say what could not be read.
	Notes []string `json:"notes,omitempty"`
}

// ReleaseStatusList is what `list` shows.
type ReleaseStatusList struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Items      []ReleaseStatus `json:"items"`
	// Notes say what could not be read.
	Notes []string `json:"notes,omitempty"`
}

// ReleaseHistory is what `history` shows.
type ReleaseHistory struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Workload   Workload `json:"workload"`
	// Release is absent where there is none.
	Release *Release `json:"release,omitempty"`
	// Revisions are all that the cluster knows, the newest first.
	Revisions []Revision `json:"revisions"`
	// Notes say what could not be read.
	Notes []string `json:"notes,omitempty"`
}

// Workload is a Deployment or StatefulSet.
type Workload struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Generation is metadata.generation; the id of a release is the one that started it.
	Generation int64 `json:"generation"`
	// Replicas is spec.replicas.
	Replicas int32 `json:"replicas"`
	// AvailableReplicas and UpdatedReplicas count pods as the native controller does, without the canary's.
	AvailableReplicas int32 `json:"availableReplicas"`
	UpdatedReplicas   int32 `json:"updatedReplicas"`
	// RolledOut tells that the native controller has nothing left to do.
	RolledOut bool `json:"rolledOut"`
	// Images of the pod template's containers.
	Images []string `json:"images"`
}

// Release is the state that sluice keeps.
type Release struct {
	ID int64 `json:"id"`
	// Phase is Progressing, Waiting, Promoting, Aborted or Reverting.
	Phase string `json:"phase"`
	// Step is the current one, from 1; 0 while the user's own pause delays step one.
	Step  int    `json:"step"`
	Steps []Step `json:"steps"`
	// Since is when this phase and step began; absent until the controller has seen them.
	Since *time.Time `json:"since,omitempty"`
	// Until is when the release goes on or is aborted by itself; absent where it does neither.
	Until *time.Time `json:"until,omitempty"`
	// Author is who changed the pod template.
	Author string `json:"author,omitempty"`
	// Config names what changed of the config, as "configmap/app: color", where that is what the release is about.
	Config    string     `json:"config,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
	// FourEyes: the author may not approve.
	FourEyes bool `json:"fourEyes,omitempty"`
	// ProgressDeadline is how long a step's pods may take to become available, like "10m0s".
	ProgressDeadline string `json:"progressDeadline"`
	// Message is what sluice says about the phase, for example why the release was aborted.
	Message string `json:"message,omitempty"`
}

// Step is one step of a release.
type Step struct {
	// Weight is the percentage of traffic.
	Weight int32 `json:"weight"`
	// Pods is how many canary pods the step has.
	Pods int32 `json:"pods"`
	// Wait is "approve", or how long the step lasts, like "10m0s".
	Wait string `json:"wait"`
	// ApprovedBy is who let it go on; absent where nobody did.
	ApprovedBy string `json:"approvedBy,omitempty"`
}

// Approval says who let a step go on.
type Approval struct {
	Step int    `json:"step"`
	By   string `json:"by"`
	// Full: the steps after it are skipped.
	Full bool `json:"full,omitempty"`
}

// Revision is one version of the pod template.
type Revision struct {
	// Role is stable, canary or earlier; see the constants.
	Role string `json:"role"`
	// Name of the ReplicaSet or ControllerRevision.
	Name string `json:"name"`
	// Number is the native controller's; absent where it has given none.
	Number int64 `json:"number,omitempty"`
	// Images of the containers.
	Images []string `json:"images"`
	// ConfigDigest names the content of the ConfigMaps and Secrets that the version was started with.
	ConfigDigest string `json:"configDigest,omitempty"`
	// Wanted and Available count pods.
	Wanted    int32 `json:"wanted"`
	Available int32 `json:"available"`
	// Pods, those in trouble first. In a list and in a history: absent.
	Pods        []Pod     `json:"pods,omitempty"`
	Created     time.Time `json:"created"`
	ChangeCause string    `json:"changeCause,omitempty"`
	// Failure says why its pods cannot be created.
	Failure string `json:"failure,omitempty"`
}

// Pod is what `kubectl get pods` shows of one.
type Pod struct {
	Name string `json:"name"`
	// Ready and Containers count containers.
	Ready      int32 `json:"ready"`
	Containers int32 `json:"containers"`
	// Status is the phase, or what keeps the pod from running, like ImagePullBackOff.
	Status   string    `json:"status"`
	Restarts int32     `json:"restarts"`
	Created  time.Time `json:"created"`
	// Available: the pod is ready and stays.
	Available bool `json:"available"`
	// Trouble is what ails a pod that is not ready, in the words of its container or condition.
	Trouble string `json:"trouble,omitempty"`
}

// Change is a place in the pod template that the release changes.
type Change struct {
	// Path like spec.containers[web].image; "config" stands for the content of ConfigMaps and Secrets.
	Path string `json:"path"`
	// Before and After are the values; absent where there is none.
	Before *string `json:"before,omitempty"`
	After  *string `json:"after,omitempty"`
}

// Command is one that can be pasted.
type Command struct {
	// Does says what it is for, like "promote".
	Does string `json:"does"`
	Run  string `json:"run"`
}
