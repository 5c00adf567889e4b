package ownership

import (
	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// Policy annotations. On a Namespace they are defaults, on the workload they override, unless the
// Namespace denies overrides. People write them; they are read of the old object, so that a write is not
// judged by rules that it brings along.
const (
	// ModeAnnotation is a Mode. Default: warn.
	ModeAnnotation = "sluice.dev/ownership"
	// ProtectAnnotation is a comma list of managers whose claims by Update are protected like those of
	// appliers. Default: none.
	ProtectAnnotation = "sluice.dev/protect"
	// IgnoreAnnotation is a comma list of fields that anyone may take, beyond the ones that always are,
	// as ParseFields reads it. Default: none.
	IgnoreAnnotation = "sluice.dev/ownership-ignore"
)

var policyKeys = []string{ModeAnnotation, ProtectAnnotation, IgnoreAnnotation}

// Two ways to say in a write that it means to take what others own. Both need VerbForce.
const (
	// ForceManager is the field manager of such a write. It stays in managedFields, as a record.
	ForceManager = "sluice-force-conflicts"
	// ForceAnnotation is for clients that cannot choose their field manager. The write that means it sets
	// it to the resourceVersion that it changes, so it is good for that write only.
	ForceAnnotation = "sluice.dev/force-conflicts"
	// VerbForce is the RBAC verb on the workload's own resource.
	VerbForce = "force-conflicts"
)

// ours are the keys that sluice writes itself or that drive a release. The keys of policy are not among
// them: whoever owns those keeps them like any field.
var ours = []string{
	canary.ReleaseAnnotation, canary.ConfigSeenAnnotation, canary.ApproveAnnotation, canary.AbortAnnotation,
	canary.RetryAnnotation, canary.ActiveLabel, canary.PhaseLabel, hashing.AnnotationConfigHash, ForceAnnotation,
}

// drivenBy returns the fields that admission sets while this release exists. What becomes of them follows from
// the release: `kubectl rollout resume` approves a step, it takes nothing from the chart that says paused.
func drivenBy(r *canary.Release) []Field {
	switch {
	case r == nil:
		return nil
	case r.Surge > 0:
		return drivenFields[:]
	}
	return drivenFields[:2]
}

var drivenFields = [...]Field{".spec.paused", ".spec.updateStrategy.rollingUpdate.partition", ".spec.strategy.rollingUpdate.maxSurge"}

// alwaysIgnored are fields that belong to nobody: controllers and tools of all kinds write them, each
// time anew.
var alwaysIgnored = append(mustParse(`.status, .metadata.finalizers, .metadata.ownerReferences,
	.metadata.annotations.kubectl.kubernetes.io/last-applied-configuration,
	.metadata.annotations.kubectl.kubernetes.io/restartedAt,
	.metadata.annotations.kubernetes.io/change-cause,
	.metadata.annotations.deployment.kubernetes.io/*,
	.spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt`), keysOfSluice()...)

func keysOfSluice() []Field {
	var fields []Field
	for _, key := range ours {
		for _, in := range []string{".metadata.annotations.", ".metadata.labels.", ".spec.template.metadata.annotations."} {
			fields = append(fields, Field(in+key))
		}
	}
	return fields
}

func mustParse(list string) []Field {
	fields, err := ParseFields(list)
	if err != nil {
		panic("this is a bug: " + err.Error())
	}
	return fields
}
