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
)

// TestNoRequestIsLostFromHoldToPromotion, and the canary gets none before its weight is written: its pods are
// ready, and that write is kept back.
func TestNoRequestIsLostFromHoldToPromotion(t *testing.T) {
	t.Parallel()
	const late = "example/app:v2-late-2s"
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%, 60%")
		weight, release := plane.Env.Proxy.Hold(a.Name, writes("", `\"weight\":20`))
		a.SetImage("web", late)
		select {
		case <-weight:
		case <-time.After(time.Minute):
			require.Fail(t, "no weight was ever written")
		}
		a.PodsOfEventually("web", late, 2)
		a.only(v1)
		release()
		a.WaitPhase("web", canary.Waiting, 1)
		a.share(late, 20, few)
		a.next(2)
		a.share(late, 60, few)
		proved := a.PodsOfEventually("web", late, 6)
		a.Approve("web")
		a.promoted(late)
		require.Subset(t, a.PodsOf("web", late), proved, "by sequence M: the pods that proved themselves stay")

		all := a.nothingLost()
		first, ok := all.FirstOf(late)
		require.True(t, ok)
		require.Greater(t, first, a.routes.firstWeight(t).Add(-seenLater), "no request before the first weight")
	})
}

// seenLater is how much later than Traefik a test may see what was stored, where the machine is busy.
const seenLater = 500 * time.Millisecond

// TestNoRequestIsLostByAnAbortAtAnyStep, and an aborted version gets none from soon after the abort on.
func TestNoRequestIsLostByAnAbortAtAnyStep(t *testing.T) {
	t.Parallel()
	weights := []float64{20, 50, 90, 100}
	images := []string{v2, v3, "example/app:v4", "example/app:v5"}
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "20%, 50%, 90%, 100%/100%")
		aborted := map[string]time.Time{}
		for i, image := range images {
			a.hold(image)
			for step := 2; step <= i+1; step++ {
				a.next(step)
			}
			plane.AwaitCanaryWeight(t, a.Name, weights[i])
			aborted[image] = a.abort()
			a.WaitPhase("web", canary.Aborted, i+1)
			a.PodsOfEventually("web", image, 0)
			a.back(v1)
		}
		a.SetImage("web", v1)
		a.restored()
		a.only(v1)
		all := a.nothingLost()
		for image, at := range aborted {
			requireLeft(t, all, image, at)
		}
		requireInTurn(t, all, images...)
	})
}

func TestNoRequestIsLostByAVersionThatSupersedesAnother(t *testing.T) {
	t.Parallel()
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
		requireInTurn(t, a.nothingLost(), v2, v3)
	})
}

// TestNoRequestIsLostByAPromotionBesideTheNativeRollout: a version whose ReplicaSet is in the history is not adopted in
// place, so it is promoted by sequence C.
func TestNoRequestIsLostByAPromotionBesideTheNativeRollout(t *testing.T) {
	t.Parallel()
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

// requireInTurn requires that no request got to a version after one got to the next.
func requireInTurn(t *testing.T, all gateway.Answers, images ...string) {
	t.Helper()
	for i, image := range images[1:] {
		last, ok := all.LastOf(images[i])
		require.True(t, ok, "%s never answered", images[i])
		first, ok := all.FirstOf(image)
		require.True(t, ok, "%s never answered", image)
		require.Less(t, last, first, "the release of %s is over for every request before that of %s begins", images[i], image)
	}
}
