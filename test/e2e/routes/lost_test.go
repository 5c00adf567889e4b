package routes

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestAServiceThatIsDeletedInMidRelease: the canary's pods go only after its requests are taken back.
func TestAServiceThatIsDeletedInMidRelease(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := held(t, k, workload, "20%")
		require.NoError(t, a.Admin.CoreV1().Services(a.Name).Delete(t.Context(), "shop", metav1.DeleteOptions{}))
		a.says("Service shop is gone, whose requests the release divides: create it again, or abort the release")
		a.abort()
		a.shared(0) // there is nothing to give the routes back to
		a.createService()
		a.setImage(v1)
		a.ends(v1)
	})
}

// TestAWorkloadThatIsDeletedInMidRelease: what divided its requests goes with it, and the routes are given back to
// whoever comes after it.
func TestAWorkloadThatIsDeletedInMidRelease(t *testing.T) {
	each(t, func(t *testing.T, k kind, workload string) {
		a := held(t, k, workload, "20%")
		a.Unjudged() // its pods go with it
		resource, name := a.workload()
		a.Kubectl("delete", resource, name)
		a.givenBack()
		a.gone()
	})
}

// TestAGatewayThatDoesNotAccept: the release says what it waits for, and aborts at the deadline of its step.
func TestAGatewayThatDoesNotAccept(t *testing.T) {
	for _, name := range []string{"HTTPRoutes", "GRPCRoute"} {
		for _, workload := range []string{canary.Deployment, canary.StatefulSet} {
			t.Run(workload+" "+name, func(t *testing.T) {
				t.Parallel()
				installed(t)
				a := start(t, kinds[name], workload, harness.Steps("20%"), harness.Annotation(canary.DeadlineAnnotation, "12s"))
				a.deaf.Store(true)
				a.setImage(v2)
				a.says("requests are not divided: it is waited for")
				require.Equal(t, canary.Progressing, a.release().Phase)
				require.Contains(t, a.release().Reason, "Gateway gate has not accepted the route yet")
				a.waits(canary.Aborted, 1)
				require.Contains(t, a.release().Reason, "Gateway gate has not accepted the route yet")
				a.deaf.Store(false)
				a.givenBack()
				a.setImage(v1)
				a.stable(v1)
				a.gone()
			})
		}
	}
}
