package traffic

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestNoRequestIsLostFromHoldToPromotion, and the canary gets none before its weight is written: its pods are
// ready, and that write is kept back.
func TestNoRequestIsLostFromHoldToPromotion(t *testing.T) {
	const late = "example/app:v2-late-2s"
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%, 60%")
		a.SetImage("web", late)
		a.PodsOfEventually("web", late, 2)
		weight, release := plane.Env.Proxy.Hold(a.Name, func(w harness.Write) bool { return w.Resource == kind.Resource.Resource })
		select {
		case <-weight:
		case <-time.After(time.Minute):
			require.Fail(t, "no weight was ever written")
		}
		a.only(v1)
		release()
		a.WaitPhase("web", canary.Waiting, 1)
		a.share(late, 20, few)
		a.next(2)
		a.share(late, 60, few)
		a.Approve("web")
		a.promoted(late)

		all := a.nothingLost()
		first, ok := all.FirstOf(late)
		require.True(t, ok)
		require.Greater(t, first, a.routes.firstWeight(t).Add(-seenLater), "no request before the first weight")
	})
}

// seenLater is how much later than Traefik a test may see what was stored, where the machine is busy.
const seenLater = 250 * time.Millisecond

func TestNoRequestIsLostByAnAbortAtAnyStep(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%, 50%, 90%")
		for i, image := range []string{v2, v3, "example/app:v4"} {
			a.hold(image)
			for step := 2; step <= i+1; step++ {
				a.next(step)
			}
			plane.AwaitCanaryWeight(t, a.Name, []float64{20, 50, 90}[i])
			a.Abort("web")
			a.WaitPhase("web", canary.Aborted, i+1)
			a.PodsOfEventually("web", image, 0)
			a.back(v1)
		}
		a.SetImage("web", v1)
		a.restored()
		a.only(v1)
		a.nothingLost()
	})
}

func TestNoRequestIsLostByAVersionThatSupersedesAnother(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%, 50%")
		a.hold(v2)
		a.next(2)
		plane.AwaitCanaryWeight(t, a.Name, 50)
		a.SetImage("web", v3)
		a.PodsOfEventually("web", v2, 0)
		a.WaitPhase("web", canary.Waiting, 1)
		a.share(v3, 20, few)
		a.next(2)
		a.share(v3, 50, few)
		a.Approve("web")
		a.promoted(v3)
		all := a.nothingLost()
		last, _ := all.LastOf(v2)
		first, _ := all.FirstOf(v3)
		require.Less(t, last, first, "the one release is over for every request before the other begins")
	})
}

// TestBlueAndGreen: nothing to the new version before step one is approved, nothing to the old one after step two.
func TestBlueAndGreen(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "0%/100%, 100%")
		a.hold(v2)
		a.PodsOfEventually("web", v2, replicas)
		a.only(v1)
		approved := time.Now()
		a.next(2)
		plane.AwaitCanaryWeight(t, a.Name, 100)
		switched := time.Now()
		a.only(v2)
		a.Approve("web")
		a.promoted(v2)
		all := a.nothingLost()
		require.Empty(t, all.Between(time.Time{}, approved).Of(v2))
		require.Empty(t, all.Between(switched, time.Now()).Of(v1), "of the old version")
	})
}

// TestNoRequestIsLostByAPromotionBesideTheNativeRollout: a version whose ReplicaSet is in the history is not adopted in
// place, so it is promoted by sequence C.
func TestNoRequestIsLostByAPromotionBesideTheNativeRollout(t *testing.T) {
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "50%")
		a.hold(v2)
		a.Approve("web")
		a.promoted(v2)
		a.hold(v1)
		a.share(v1, 50, sample)
		a.Approve("web")
		a.promoted(v1)
		a.nothingLost()
		a.Eventually("an Event says that it was sequence C", func(ctx context.Context) error {
			list, err := a.Admin.CoreV1().Events(a.Name).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			for _, event := range list.Items {
				if strings.Contains(event.Message, "all pods are rolled out while the canary stays") {
					return nil
				}
			}
			return fmt.Errorf("none of %d says so", len(list.Items))
		})
	})
}
