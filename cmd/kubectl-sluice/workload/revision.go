package workload

import (
	"encoding/json"
	"time"
)

// Role is what a revision is to the workload's release.
type Role string

// Roles of a revision.
const (
	// Stable runs, or would run again, the version from before the release; without a release, the version
	// that the workload names.
	Stable Role = "stable"
	// Canary runs the version that is released.
	Canary Role = "canary"
	// Earlier is any other: from the history, or on its way out.
	Earlier Role = "earlier"
)

// Revision is one version of the pod template that the cluster knows.
type Revision struct {
	// Name of the ReplicaSet or ControllerRevision.
	Name string
	// Number is the native controller's, 0 where it has given none.
	Number int64
	Role   Role
	// PodLabel is the value of Kind.PodLabel on its pods.
	PodLabel string
	Template json.RawMessage
	// Hash and Digest name the template as sluice does.
	Hash, Digest string
	// Wanted and Available count pods.
	Wanted, Available int32
	Created           time.Time
	// ChangeCause is the annotation kubernetes.io/change-cause.
	ChangeCause string
	// Failure says why its pods cannot be created, empty where they can.
	Failure string
}

const changeCauseAnnotation = "kubernetes.io/change-cause"
