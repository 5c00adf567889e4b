package routes

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestWithoutAnyDefinition comes first, and alone: the cluster has no kind of route but Ingress.
func TestWithoutAnyDefinition(t *testing.T) {
	for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
		a := bare(t, kinds["HTTPRoutes"], workload)
		a.createService()
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		require.Empty(t, a.release().Reason)
		require.Nil(t, a.release().Traffic)
		a.approve()
		a.stable(v2)
	}
}

// TestADefinitionThatIsInstalledWhileSluiceRuns comes next: the sluice of the first test learns of it by itself.
func TestADefinitionThatIsInstalledWhileSluiceRuns(t *testing.T) {
	a := bare(t, kinds["ApisixRoute"], canary.Deployment, harness.Steps("20%"))
	running := env.Sluice()
	definitions["APISIX"].install(t)
	a.Eventually("sluice watches it", func(context.Context) error {
		if !env.Proxy.Watched("/apis/apisix.apache.org/v2/apisixroutes") {
			return errors.New("it does not")
		}
		return nil
	})
	a.create()
	a.setImage(v2)
	a.waits(canary.Waiting, 1)
	a.shared(20)
	a.approve()
	a.ends(v2)
	require.Same(t, running, env.Sluice())
}
