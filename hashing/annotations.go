package hashing

const (
	// AnnotationConfigHash is on the pod template and holds the digest of the config that the template uses, and what of
	// it is pinned. Written by admission, read by admission, by the config controller, by what collects snapshots, and in
	// pods by the policy that has them read snapshots. Default: absent.
	AnnotationConfigHash = "sluice.dev/config-hash"

	// AnnotationConfigSeen is on the workload and holds a Seen. Written by the config controller, read by admission and by
	// the controller. Default: absent.
	AnnotationConfigSeen = "sluice.dev/config-seen"

	// AnnotationConfigAtOnce is written by users on a ConfigMap or Secret: how many of the workloads that use it may be on
	// the way to its new content at once, a positive number. Default: the flag --config-at-once.
	AnnotationConfigAtOnce = "sluice.dev/config-at-once"

	// LabelSnapshot is "true" on each snapshot. Written by admission, read by what collects them.
	LabelSnapshot = "sluice.dev/snapshot"

	// AnnotationSnapshotOf is on a snapshot and names the object that it is one of. Written by admission, for people.
	AnnotationSnapshotOf = "sluice.dev/snapshot-of"

	// AnnotationSnapshotUsed is on a snapshot and says when a version was admitted that reads it, where that was not the
	// first. Written by admission, read by what collects snapshots. Default: its creation.
	AnnotationSnapshotUsed = "sluice.dev/snapshot-used"

	// AnnotationRotate is written by operators on the key Secret: any word that was not there before has the key rotated.
	// Read by the replica that leads. Default: absent.
	AnnotationRotate = "sluice.dev/rotate"

	// AnnotationRotation is on the key Secret and holds a Rotation. Written and read by the replica that leads.
	// Default: absent.
	AnnotationRotation = "sluice.dev/rotation"

	// AnnotationConfig is written by users and says what a change of config does. On a namespace or workload it is
	// ConfigHash (default), ConfigPin or ConfigIgnore; on a ConfigMap or Secret only ConfigIgnore means something.
	AnnotationConfig = "sluice.dev/config"
)

// ConditionConfigPostponed is the type of a condition in a workload's status. It is there, True, while a change of its
// config is kept from it because it changes too often or failed elsewhere; the reason says which. A change that waits
// for its turn has none. Written by the config controller.
const ConditionConfigPostponed = "ConfigPostponed"

// Values of AnnotationConfig.
const (
	// ConfigHash: a change of used content is a release.
	ConfigHash = "hash"
	// ConfigPin: as ConfigHash, and pods read immutable snapshots, see Pin.
	ConfigPin = "pin"
	// ConfigIgnore: a change rolls nothing. On a ConfigMap or Secret, e.g. of a certificate that renews itself, it
	// holds for every workload.
	ConfigIgnore = "ignore"
)
