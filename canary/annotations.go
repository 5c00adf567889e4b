package canary

import "sluice.dev/sluice/hashing"

// Labels that people and admission set.
const (
	// EnabledLabel on a Namespace ("true") opts it in; on a workload "false" opts it out, which needs
	// the permission VerbBypass.
	EnabledLabel = "sluice.dev/enabled"
	// ActiveLabel is "true" on a workload while a release exists. Only admission sets and removes it; it
	// selects the webhook entry that has no namespace selector.
	ActiveLabel = "sluice.dev/release-active"
)

// Policy annotations. On a Namespace they are defaults, on the workload they override. People write
// them; admission reads them when a release starts.
const (
	CanaryAnnotation   = "sluice.dev/canary"
	StepsAnnotation    = "sluice.dev/steps"
	DeadlineAnnotation = "sluice.dev/progress-deadline"
	ApprovalAnnotation = "sluice.dev/approval"
	ConfigAnnotation   = "sluice.dev/config"
	// ConfigExtraAnnotation lists objects that count as config although no template refers to them; on
	// the workload only.
	ConfigExtraAnnotation = "sluice.dev/config-extra"
	// SettleAnnotation is how long what changes together is waited for: before a change of config is looked
	// at, and before the canary of a workload that uses config is made.
	SettleAnnotation = "sluice.dev/settle-time"
	// TrafficAnnotation says which routes are divided, as ParseTraffic reads it. Routes are named on the workload
	// only: a Namespace says for all of its workloads whether any are.
	TrafficAnnotation = "sluice.dev/traffic"
	// MatchAnnotation describes the requests that are the canary's whatever the weight: "header:NAME=VALUE" or
	// "cookie:NAME=VALUE", as split.ParseMatch reads it.
	MatchAnnotation = "sluice.dev/match"
	// OverridesAnnotation is read on the Namespace only.
	OverridesAnnotation = "sluice.dev/overrides"
)

// ConfigSeenAnnotation is what sluice's controller last saw of the workload's config, a hashing.Seen. Only
// sluice writes it. In a write that changes it, admission reads the config, and holds what is new of it
// as a release.
const ConfigSeenAnnotation = hashing.AnnotationConfigSeen

// Annotations that drive a release. They name what they mean, so that a stale one does nothing, and
// they take effect only in the write that changes them.
const (
	// ApproveAnnotation approves a step: "<release>/<step>", or that step and all after it:
	// "<release>/full". People write it, and so does admission for `kubectl rollout resume`.
	ApproveAnnotation = "sluice.dev/approve"
	// AbortAnnotation aborts a release: "<release>".
	AbortAnnotation = "sluice.dev/abort"
	// RetryAnnotation starts an aborted release again at step one: "<release>".
	RetryAnnotation = "sluice.dev/retry"
)

// drivers are the annotations that drive a release, in the order in which one write may use one.
var drivers = []string{AbortAnnotation, RetryAnnotation, ApproveAnnotation}

// ReleaseAnnotation holds the state of a release as JSON, see Release. Only sluice writes it: on any
// other write admission carries it over from the stored object.
const ReleaseAnnotation = "sluice.dev/release"

// Labels by which `kubectl get -L` shows the state of a release.
const (
	// WorkloadLabel names the workload that a canary ReplicaSet or a ControllerRevision belongs to, as
	// returned by WorkloadLabelValue.
	WorkloadLabel = "sluice.dev/workload"
	// ReleaseLabel is the id of the release that made the object.
	ReleaseLabel = "sluice.dev/release"
	// PhaseLabel is the release's phase. On the workload itself admission sets it in the write that
	// changes the phase, so that whoever waits for it never reads an earlier release's: a Phase, then
	// "Promoted" or "Reverted" until the next new version. Without a release it is a label like others,
	// which whoever may edit the workload may change.
	PhaseLabel  = "sluice.dev/phase"
	StepLabel   = "sluice.dev/step"
	WeightLabel = "sluice.dev/weight"
)

// RBAC verbs on the workload's own resource, checked with a SubjectAccessReview for whoever asks.
const (
	VerbPromote = "promote"
	VerbAbort   = "abort"
	VerbBypass  = "bypass"
)
