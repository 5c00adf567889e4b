package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/watch"
)

// TestWithSluiceDownTheStateIsShownAndNothingIsPromised is not parallel: everybody's sluice is down.
func TestWithSluiceDownTheStateIsShownAndNothingIsPromised(t *testing.T) {
	n := held(t, "20%")
	env.Sluice().Kill()
	golden(t, n, "status-while-sluice-is-down", must(t, n, "status", "deploy/web"))
	refused(t, n, "refused-while-sluice-is-down", "alice", "promote", "deploy/web")
	_, err := env.StartSluice(t.Context())
	require.NoError(t, err)
	n.Mark("web", watch.Approved)
	must(t, n, "promote", "deploy/web")
	must(t, n, "wait", "deploy/web", "--for=promoted", "--timeout=60s")
	n.WaitStable("web")
}
