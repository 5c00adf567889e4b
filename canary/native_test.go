package canary

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Holds has to say of a stored workload what Decide says to its next version.
func TestWhetherTheNextVersionIsHeld(t *testing.T) {
	disabled := map[string]string{CanaryAnnotation: "disabled"}
	tests := map[string]struct {
		stored    object
		kind      string // Deployment where it is empty
		namespace map[string]string
		want      bool
	}{
		"a Deployment":                         {stored: web("v1"), want: true},
		"a paused one":                         {stored: web("v1").with("spec.paused", true), want: true},
		"one with a release":                   {stored: held(t), want: true},
		"one that is being promoted":           {stored: finishingObject(t), want: true},
		"one whose release is aborted":         {stored: abortedObject(t), want: true},
		"a StatefulSet":                        {stored: set("v1"), kind: StatefulSet, want: true},
		"a StatefulSet with a release":         {stored: heldSet(t), kind: StatefulSet, want: true},
		"a DaemonSet":                          {stored: web("v1"), kind: DaemonSet},
		"canaries are disabled":                {stored: web("v1").annotated(CanaryAnnotation, "disabled")},
		"disabled during a release":            {stored: held(t).annotated(CanaryAnnotation, "disabled")},
		"disabled in the Namespace":            {stored: web("v1"), namespace: disabled},
		"disabled there, not here":             {stored: web("v1").annotated(CanaryAnnotation, "enabled"), namespace: disabled, want: true},
		"no replicas":                          {stored: web("v1").with("spec.replicas", 0)},
		"strategy Recreate":                    {stored: web("v1").with("spec.strategy", object{"type": "Recreate"})},
		"update strategy OnDelete":             {stored: set("v1").with("spec.updateStrategy", object{"type": "OnDelete"}), kind: StatefulSet},
		"it was never available":               {stored: web("v1").with("status", object{})},
		"a state that somebody planted":        {stored: web("v1").annotated(ReleaseAnnotation, held(t).release(t).Encode()), want: true},
		"it has opted out, during a release":   {stored: held(t).labelled(EnabledLabel, "false")},
		"a label of a release without a state": {stored: web("v1").labelled(ActiveLabel, "true"), want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			kind := test.kind
			if kind == "" {
				kind = Deployment
			}
			got, err := Holds(kind, test.stored.workload(t), test.namespace)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			d, err := Decide(Review{Operation: Update, Kind: kind, Old: test.stored.workload(t), New: test.stored.image("v9").workload(t)},
				World{NamespaceAnnotations: test.namespace})
			require.NoError(t, err)
			require.Equal(t, got, d.Verdict == Hold || d.Verdict == Superseded, "Decide: %s", d.Verdict)
			require.Equal(t, got, d.Verdict != Native, "Decide: %s", d.Verdict)
		})
	}
	_, err := Holds(Deployment, web("v1").annotated(StepsAnnotation, "x").workload(t), nil)
	require.ErrorContains(t, err, "annotation sluice.dev/steps")
}
