package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

func TestAPolicyThatIsNotValidIsRefusedWithItsGrammar(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Obj())
	n.Refused("alice", []string{"annotation sluice.dev/steps", `"lots"`, "WEIGHT[/PODS][:WAIT]"},
		"kubectl", "annotate", "deployment/web", canary.StepsAnnotation+"=lots")
	n.Refused("alice", []string{"annotation sluice.dev/progress-deadline", `"soon"`},
		"kubectl", "annotate", "deployment/web", canary.DeadlineAnnotation+"=soon")
}

func TestADefaultThatIsNotValidIsRefusedOnTheNamespace(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	for annotation, want := range map[string]string{
		"sluice.dev/steps=50%,20%":          "WEIGHT[/PODS][:WAIT]",
		"sluice.dev/progress-deadline=soon": `"soon" is not a duration of at least 1s`,
		"sluice.dev/approval=two":           "is not one of anyone, four-eyes",
	} {
		n.Refused("admin", []string{"annotation sluice.dev/", want}, "kubectl", "annotate", "namespace/"+n.Name, annotation)
	}
	require.Zero(t, n.Command("admin", "kubectl", "annotate", "namespace/"+n.Name, "sluice.dev/steps=20%, 50%/5:10m, 100%/100%").Code)
}

func TestAPolicyWeakenedWithANewTemplateGovernsOnlyTheNextOne(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Create(web().Replicas(4).Annotation(canary.StepsAnnotation, "20%").Obj())
	n.Kubectl("patch", "deployment/web", "-p", `{"metadata":{"annotations":{"sluice.dev/steps":"100%:1s"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+v2+`"}]}}}}`)
	require.Equal(t, "20%", requireHeld(t, n, v2, 1, 4).Policy.Steps)
	n.Approve("web")
	n.WaitStable("web")
	n.SetImage("web", v3)
	n.WaitStable("web") // the second one goes by the new policy: by itself after a second
}
