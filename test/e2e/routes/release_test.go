package routes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

func TestAReleaseThatIsPromoted(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := start(t, k, workload, harness.Steps("20%, 50%"))
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		a.shared(20)
		a.selects()
		require.Len(t, a.release().Traffic.Routes, len(k.routes))
		require.Empty(t, a.release().Traffic.Notes)
		a.approve()
		a.waits(canary.Waiting, 2)
		a.shared(50)
		a.approve()
		a.stable(v2)
		a.givenBack()
		a.gone()
	})
}

func TestAReleaseThatIsAborted(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := start(t, k, workload, harness.Steps("20%"))
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		a.shared(20)
		a.abort()
		a.waits(canary.Aborted, 1)
		a.givenBack()
		a.setImage(v1)
		a.stable(v1)
		a.givenBack()
		a.gone()
	})
}

func TestAMatch(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := start(t, k, workload, harness.Steps("0%/50%"), harness.Annotation(canary.MatchAnnotation, "header:x-canary=yes"))
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		for _, route := range a.routes() {
			shares := k.shares(route)
			require.Len(t, shares, 2)
			require.Contains(t, shares, "shop-stable=100 shop-canary=0")
			require.Equal(t, 1, strings.Count(content(t, route), k.header), content(t, route))
		}
		a.approve()
		a.stable(v2)
		a.givenBack()
		a.gone()
	})
}

func TestARouteThatIsDeletedInMidRelease(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := start(t, k, workload, harness.Steps("20%"))
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		require.NoError(t, a.client.Delete(t.Context(), "shop", metav1.DeleteOptions{}))
		a.says("/shop is gone, which divided the requests: create it again, or abort the release")
		a.approve()
		a.waits(canary.Waiting, 1)
		_, err := a.client.Create(t.Context(), parse(k.routes[0]), metav1.CreateOptions{FieldManager: "helm"})
		require.NoError(t, err)
		a.stable(v2)
		a.givenBack()
		a.gone()
	})
}
