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
		a := held(t, k, workload, "20%, 50%")
		a.selects()
		a.found(a.names())
		a.approve()
		a.waits(canary.Waiting, 2)
		a.shared(50)
		a.approve()
		a.ends(v2)
	})
}

func TestAReleaseThatIsAborted(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := held(t, k, workload, "20%")
		a.abort()
		a.waits(canary.Aborted, 1)
		a.givenBack()
		a.setImage(v1)
		a.ends(v1)
	})
}

func TestAMatch(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := start(t, k, workload, harness.Steps("0%/50%"), harness.Annotation(canary.MatchAnnotation, "header:x-canary=yes"))
		a.setImage(v2)
		a.waits(canary.Waiting, 1)
		for _, route := range a.routes() {
			said := content(t, route)
			require.Contains(t, a.shares(route), "shop-stable=100 shop-canary=0")
			if k.besides() {
				said = content(t, a.canaryOf(route))
			} else {
				require.Len(t, a.shares(route), 2)
			}
			require.Equal(t, 1, strings.Count(said, k.header), said)
		}
		a.approve()
		a.ends(v2)
	})
}

func TestARouteThatIsDeletedInMidRelease(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := held(t, k, workload, "20%")
		require.NoError(t, a.client.Delete(t.Context(), "shop", metav1.DeleteOptions{}))
		a.says("/shop is gone, which divided the requests: create it again, or abort the release")
		a.approve()
		a.waits(canary.Waiting, 1)
		a.createRoute(k.routes[0])
		a.ends(v2)
	})
}
