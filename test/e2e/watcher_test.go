package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/harness"
)

// TestTheWatcherSeesWhatSluicePrevents: where nothing holds a new version, the watcher that guards every
// other test must say so.
func TestTheWatcherSeesWhatSluicePrevents(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.OptedOut)
	n.Unjudged()
	n.Create(web().RollingUpdate("0", "100%").Obj())
	n.SetImage("web", v2) // nobody announced this as an exception
	n.WaitStable("web")
	rules := map[string]bool{}
	for _, v := range n.Violations(t.Context()) {
		rules[v.Rule] = true
	}
	require.True(t, rules["ungated"], "an ungated rollout is seen")
}

// TestTheWatcherSeesAnOutage: the Service of each namespace is there, and its endpoints are seen.
func TestTheWatcherSeesAnOutage(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t, harness.OptedOut)
	n.Unjudged()
	n.Create(web().RollingUpdate("0", "100%").Obj())
	n.Eventually("the service has its endpoints", func(context.Context) error {
		for _, e := range n.Recorded() {
			if e.Slice != nil && len(e.Slice.Endpoints) == 3 {
				return nil
			}
		}
		return errors.New("none yet")
	})
	n.SetImage("web", "example/unready:v2")
	n.Eventually("the watcher sees that nothing serves", func(ctx context.Context) error {
		for _, v := range n.Violations(ctx) {
			if v.Rule == "endpoints" {
				return nil
			}
		}
		return errors.New("it does not")
	})
}

// TestTheWatcherSeesAStablePodGo: the rule that no held release costs a stable pod is not vacuous either.
func TestTheWatcherSeesAStablePodGo(t *testing.T) {
	t.Parallel()
	n := env.Namespace(t)
	n.Unjudged()
	n.Create(web().Obj())
	n.SetImage("web", v2)
	requireHeld(t, n, v2, 1, 3)
	require.Empty(t, n.Violations(t.Context()))
	require.NoError(t, n.Admin.CoreV1().Pods(n.Name).Delete(t.Context(), n.PodsOf("web", v1)[0], deleteOptions))
	n.PodsOfEventually("web", v1, 3)
	rules := map[string]bool{}
	for _, v := range n.Violations(t.Context()) {
		rules[v.Rule] = true
	}
	require.True(t, rules["stable"], "a stable pod that goes is seen")
}
