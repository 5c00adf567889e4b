package routes

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
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
