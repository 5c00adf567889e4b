package pin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/hashing"
)

// Acceptance, config hashing 26 and 29.
func TestOnlyTheCanaryReadsNewContentWhileItIsHeld(t *testing.T) {
	s := pinned(t)
	first := s.Create(web().Obj())
	digest := digestOf(first.Spec.Template)
	require.Equal(t, []string{"configmap/app", "secret/db"}, hashing.Pinned(digest))
	require.Equal(t, map[string]int{"hello": 3}, s.greetings("web"))
	for _, pod := range s.LivePods(t.Context(), "web") {
		name, _ := s.greeting(pod)
		require.Equal(t, hashing.SnapshotName("app", digest), name)
		require.Equal(t, hashing.SnapshotName("db", digest), pod.Spec.Containers[0].EnvFrom[0].SecretRef.Name)
	}
	spec := first.Spec.Template.Spec.Containers[0]
	require.Equal(t, "app", spec.Env[0].ValueFrom.ConfigMapKeyRef.Name, "the spec is its author's")
	require.Equal(t, "db", spec.EnvFrom[0].SecretRef.Name)

	s.set("app", "GREETING", "good day")
	s.WaitPhase("web", canary.Waiting, 1)
	require.Equal(t, map[string]int{"hello": 3, "good day": 1}, s.greetings("web"))
	s.restart("web", "hello")
	require.Equal(t, map[string]int{"hello": 3, "good day": 1}, s.greetings("web"), "a stable pod that restarts reads the old content")

	s.Abort("web")
	s.WaitPhase("web", canary.Aborted, 1)
	s.PodsOfEventually("web", v1, 3)
	require.Equal(t, map[string]int{"hello": 3}, s.greetings("web"))
	require.True(t, strings.HasPrefix(digestOf(s.Deployment("web").Spec.Template), "v1:"))
}
