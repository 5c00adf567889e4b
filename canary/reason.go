package canary

// Reason is why a request passed natively or was refused: one word, for metrics.
type Reason string

// Reasons of the verdict Native.
const (
	New            Reason = "New"
	NotHeld        Reason = "KindNotHeld"
	Disabled       Reason = "CanariesDisabled"
	NoReplicas     Reason = "NoReplicas"
	Recreates      Reason = "Recreate"
	OnDelete       Reason = "OnDelete"
	NeverAvailable Reason = "NeverAvailable"
	SelectsMarks   Reason = "SelectsMarks"
)

// Reasons of the verdict Denied.
const (
	NotPermitted   Reason = "NotPermitted"
	InvalidPolicy  Reason = "InvalidPolicy"
	StrategyChange Reason = "StrategyChange"
	ScaleToZero    Reason = "ScaleToZero"
	NotReady       Reason = "NotReady"
	IsAborted      Reason = "Aborted"
	FourEyes       Reason = "FourEyes"
	TooLate        Reason = "TooLate"
	NotPinned      Reason = "NotPinned"
	Bug            Reason = "Bug"
)

// nativeBecause says to people why a version is not held.
var nativeBecause = map[Reason]string{
	New:            "it is new",
	NotHeld:        "sluice holds Deployments and StatefulSets only",
	Disabled:       "its canaries are disabled",
	NoReplicas:     "it has no replicas",
	Recreates:      "its strategy is Recreate",
	OnDelete:       "its update strategy is OnDelete",
	NeverAvailable: "the version before never became available",
	SelectsMarks:   "its selector would match the canary ReplicaSet's own labels",
}
