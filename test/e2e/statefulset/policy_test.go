package statefulset

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAPolicyThatIsNotValidIsRefusedWithItsGrammar(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(two().Obj())
	before := s.Get()
	for annotation, says := range map[string]string{
		canary.StepsAnnotation + "=lots":       `annotation sluice.dev/steps: "lots": its weight is not a percentage`,
		canary.StepsAnnotation + "=50%,20%":    "WEIGHT[/PODS][:WAIT]",
		canary.DeadlineAnnotation + "=soon":    `annotation sluice.dev/progress-deadline: "soon" is not a duration of at least 1s`,
		canary.CanaryAnnotation + "=off":       `annotation sluice.dev/canary: "off" is not one of enabled, disabled`,
		canary.ApprovalAnnotation + "=two":     `annotation sluice.dev/approval: "two" is not one of anyone, four-eyes`,
		canary.ConfigAnnotation + "=sometimes": `annotation sluice.dev/config: "sometimes" is not one of`,
	} {
		s.Refused("alice", []string{says}, "kubectl", "annotate", "statefulset/db", annotation)
	}
	set := two().Annotation(canary.StepsAnnotation, "lots").Obj()
	set.Name = "other"
	s.Refused("alice", []string{`annotation sluice.dev/steps: "lots"`, "WEIGHT[/PODS][:WAIT]"}, "kubectl", "create", "-f", s.Manifest(set))
	require.Equal(t, before, s.Get())
}

func TestAPolicyWeakenedWithANewTemplateGovernsOnlyTheNextOne(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t).CreateSet(db().Annotation(canary.StepsAnnotation, "25%").Obj())
	s.Kubectl("patch", "statefulset/db", "-p", `{"metadata":{"annotations":{"sluice.dev/steps":"75%:1s"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	require.Equal(t, "25%", requireHeld(t, s, 1, v1, v1, v1, v2).Policy.Steps)
	s.Quiet()
	s.Approve()
	s.WaitStable(v2)
	s.SetImage(v3)
	s.WaitStable(v3) // the second one goes by the new policy: by itself after a second
}

func TestDeniedOverridesCountForNothingAndAreNamed(t *testing.T) {
	t.Parallel()
	s := env.Namespace(t, harness.Steps("50%"), harness.Annotation(canary.OverridesAnnotation, "denied")).
		CreateSet(db().Annotation(canary.StepsAnnotation, "75%:1s").Annotation(canary.DeadlineAnnotation, "1s").Obj())
	result := s.SetImage(v2)
	release := requireHeld(t, s, 1, v1, v1, v2, v2)
	require.Equal(t, []string{
		"sluice: the Namespace denies overrides: sluice.dev/steps, sluice.dev/progress-deadline counts for nothing here",
		holdWarning(s, release, 1, "2 new pods of 4"),
	}, result.Warnings())
	require.Equal(t, "50%", release.Policy.Steps)
	s.Quiet()
	s.Approve()
	s.WaitStable(v2)
}
