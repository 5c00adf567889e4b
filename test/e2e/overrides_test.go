package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAPolicyOfUnknownValuesIsRefusedOnTheWorkload(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	before := n.Create(web().Obj())
	for annotation, says := range map[string]string{
		canary.StepsAnnotation + "=50%,20%":    "WEIGHT[/PODS][:WAIT]",
		canary.StepsAnnotation + "=20%:later":  "WEIGHT[/PODS][:WAIT]",
		canary.DeadlineAnnotation + "=0s":      `annotation sluice.dev/progress-deadline: "0s" is not a duration of at least 1s`,
		canary.CanaryAnnotation + "=off":       `annotation sluice.dev/canary: "off" is not one of enabled, disabled`,
		canary.ApprovalAnnotation + "=two":     `annotation sluice.dev/approval: "two" is not one of anyone, four-eyes`,
		canary.ConfigAnnotation + "=sometimes": `annotation sluice.dev/config: "sometimes" is not one of`,
	} {
		n.Refused("alice", []string{says}, "kubectl", "annotate", "deployment/web", annotation)
	}
	other := web().Annotation(canary.StepsAnnotation, "lots").Obj()
	other.Name = "other"
	n.Refused("alice", []string{`annotation sluice.dev/steps: "lots": its weight is not a percentage`, "WEIGHT[/PODS][:WAIT]"}, "kubectl", "create", "-f", n.Manifest(other))
	require.Equal(t, before, n.Deployment("web"))
}

func TestDeniedOverridesCountForNothingAndAreNamed(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.OverridesAnnotation, "denied"))
	n.Create(web().Replicas(4).Annotation(canary.StepsAnnotation, "100%:1s").Annotation(canary.DeadlineAnnotation, "1s").Obj())
	result := n.SetImage("web", v2)
	release := requireHeld(t, n, v2, 2, 4)
	require.Equal(t, []string{
		"sluice: the Namespace denies overrides: sluice.dev/steps, sluice.dev/progress-deadline counts for nothing here",
		holdWarning(n, release, "2 new pods", 4),
	}, result.Warnings())
	require.Equal(t, "50%", release.Policy.Steps)
	n.Quiet("web")
	n.Approve("web")
	n.WaitStable("web")
}
