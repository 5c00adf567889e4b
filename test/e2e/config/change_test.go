package config

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
	"sluice.dev/sluice/test/e2e/harness"
	"sluice.dev/sluice/test/e2e/watch"
)

func raw(template corev1.PodTemplateSpec) []byte {
	encoded, err := json.Marshal(template)
	if err != nil {
		panic(err)
	}
	return encoded
}

func TestAChangeOfAUsedKeyIsARelease(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	first, stable := s.digest("web"), s.PodsOf("web", v1)

	s.set("app", "UNUSED", "2")
	s.looked()
	require.Equal(t, first, s.digest("web"), "nobody uses the key")

	s.set("app", "GREETING", "good day")
	release := s.held("web")
	require.Equal(t, "configmap/app: GREETING", release.Cause)
	require.Contains(t, s.event("web", "ConfigChanged"), "configmap/app: GREETING")
	d := s.Deployment("web")
	require.True(t, d.Spec.Paused)
	require.NotEqual(t, first, digestOf(d.Spec.Template))
	require.Subset(t, s.PodsOf("web", v1), stable, "every stable pod stays")
	s.versions("web", 2)

	s.Approve("web")
	s.WaitStable("web")
	s.looked()
	s.versions("web", 2)
	require.Empty(t, s.Release("web"))
}

func TestConfigThatGoesBackRevertsItsRelease(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	before, stable := s.Deployment("web").Spec.Template, s.PodsOf("web", v1)
	s.setSecret("db", "PASSWORD", "trout")
	require.Equal(t, "secret/db: PASSWORD", s.held("web").Cause)

	s.setSecret("db", "PASSWORD", "swordfish")
	d := s.WaitStable("web")
	require.Equal(t, before, d.Spec.Template)
	require.Equal(t, stable, s.PodsOf("web", v1))
	s.versions("web", 1)
}

func TestWhatChangesTogetherIsOneRelease(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	s.set("app", "GREETING", "good day")
	s.setSecret("db", "PASSWORD", "trout")
	require.Equal(t, "configmap/app: GREETING; secret/db: PASSWORD", s.held("web").Cause)
	s.looked()
	s.versions("web", 2)
	s.Approve("web")
	s.WaitStable("web")
	s.versions("web", 2)
}

func TestAnAbortedConfigIsNotTriedAgain(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	first := s.digest("web")
	s.set("app", "GREETING", "good day")
	s.held("web")
	s.Abort("web")
	aborted := s.WaitPhase("web", canary.Aborted, 1)
	s.set("app", "UNUSED", "3")
	s.looked()
	require.Equal(t, aborted.ID, s.Release("web").ID)
	require.Equal(t, canary.Aborted, s.Release("web").Phase)

	s.set("app", "GREETING", "good evening")
	require.Greater(t, s.held("web").ID, aborted.ID, "other content is another version")
	s.set("app", "GREETING", "hello")
	s.WaitStable("web")
	require.Equal(t, first, s.digest("web"))
}

func TestOptingInRollsNothingAndLaterChangesDo(t *testing.T) {
	s := namespace(t, harness.OptedOut).configured()
	s.Create(web().Obj())
	stable := s.PodsOf("web", v1)
	s.OptIn()
	baseline := s.seen("web")
	require.Empty(t, s.digest("web"))
	require.NotEmpty(t, baseline.Template)
	s.looked()
	s.versions("web", 1)

	s.set("app", "GREETING", "good day")
	release := s.held("web")
	require.Equal(t, "configmap/app: GREETING", release.Cause)
	require.Equal(t, release.Stable.Hash, release.Canary.Hash)
	require.Empty(t, release.Stable.Digest)

	s.set("app", "GREETING", "hello")
	d := s.WaitStable("web")
	require.Empty(t, digestOf(d.Spec.Template), "as its pods were made")
	require.Equal(t, stable, s.PodsOf("web", v1))
	s.versions("web", 1)
}

func TestConfigThatIsDeletedAndComesBackTheSameRollsNothing(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	first := s.digest("web")
	require.NoError(t, s.Admin.CoreV1().Secrets(s.Name).Delete(t.Context(), "db", metav1.DeleteOptions{}))
	s.looked()
	s.secret("db", "PASSWORD", "swordfish")
	s.looked()
	require.Equal(t, first, s.digest("web"))
	s.versions("web", 1)
}

func TestWhatIsIgnoredOrOptedOutRollsNothing(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Obj())
	s.seen("web")
	first := s.digest("web")
	s.Kubectl("annotate", "secret/db", hashing.AnnotationConfig+"="+hashing.ConfigIgnore)
	s.looked()
	s.setSecret("db", "PASSWORD", "trout")
	s.looked()
	require.Equal(t, first, s.digest("web"), "a Secret that renews itself")

	s.Kubectl("annotate", "deployment/web", canary.ConfigAnnotation+"=ignore")
	s.set("app", "GREETING", "good day")
	s.looked()
	require.Equal(t, first, s.digest("web"), "a workload that ignores its config")
	s.versions("web", 1)
}

func TestAWorkloadThatIsNotHeldRollsOutNatively(t *testing.T) {
	s := namespace(t).configured()
	d := web().Annotation(canary.CanaryAnnotation, "disabled").Obj()
	file := s.Manifest(d)
	require.Zero(t, s.Command("admin", "kubectl", "create", "-f", file).Code)
	s.WaitStable("web")
	s.Mark("web", watch.Native)
	s.seen("web")
	first := s.digest("web")
	s.set("app", "GREETING", "good day")
	s.WaitDeployment("web", "the new config is rolled out", func(d *appsv1.Deployment) bool {
		return digestOf(d.Spec.Template) != first && harness.Complete(d)
	})
	s.looked()
	s.versions("web", 2)
}

func TestASettleTimeOfItsOwn(t *testing.T) {
	s := namespace(t).configured()
	s.Create(web().Annotation(canary.SettleAnnotation, "20s").Obj())
	s.WaitConfigSeen("web")
	first := s.digest("web")
	s.set("app", "GREETING", "good day")
	s.looked() // 2 s later
	require.Equal(t, first, s.digest("web"))
	s.setSecret("db", "PASSWORD", "trout")
	s.WaitDeployment("web", "it is held", func(d *appsv1.Deployment) bool { return digestOf(d.Spec.Template) != first })
	require.Equal(t, "configmap/app: GREETING; secret/db: PASSWORD", s.Release("web").Cause)
}
