package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// TestConfigThatNoTemplateRefersTo: an application reads it by itself, and the workload lists it.
func TestConfigThatNoTemplateRefersTo(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	digest := func() string { return n.Deployment("web").Spec.Template.Annotations[hashing.AnnotationConfigHash] }
	upgrade := func(image string) {
		t.Helper()
		n.SetImage("web", image)
		requireHeld(t, n, image, 1, 3)
		n.Approve("web")
		n.WaitStable("web")
	}
	n.Create(web().Annotation(canary.ConfigExtraAnnotation, "configmap/app, secret/license").Obj())
	without := digest()
	n.WaitConfigSeen("web")

	createConfigMap(t, n, "hello")
	require.Equal(t, "configmap/app", n.WaitPhase("web", canary.Waiting, 1).Cause, "what appears is a change")
	n.Approve("web")
	n.WaitStable("web")
	hello := digest()
	require.NotEqual(t, without, hello)
	upgrade(v2)
	require.Equal(t, hello, digest(), "the same content")

	updateConfigMap(t, n, "good day")
	require.Equal(t, "configmap/app: GREETING", n.WaitPhase("web", canary.Waiting, 1).Cause)
	n.Approve("web")
	n.WaitStable("web")
	require.NotEqual(t, hello, digest())

	n.Refused("alice", []string{`annotation sluice.dev/config-extra: "pod/web": it is neither configmap/NAME nor secret/NAME`},
		"kubectl", "annotate", "--overwrite", "deployment/web", canary.ConfigExtraAnnotation+"=pod/web")
}
