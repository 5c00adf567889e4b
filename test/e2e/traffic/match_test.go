package traffic

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/test/e2e/gateway"
	"sluice.dev/sluice/test/e2e/harness"
)

// TestRequestsThatMatchGoToTheCanary, and with a weight of 0 nobody else's do; with more, those that do not match are
// shared by it.
func TestRequestsThatMatchGoToTheCanary(t *testing.T) {
	t.Parallel()
	for match, request := range map[string]struct{ matching, other string }{
		"header:x-canary=yes":  {matching: "x-canary=yes", other: "x-canary=no"},
		"cookie:canary=always": {matching: "Cookie=canary=always", other: "Cookie=canary=never"},
	} {
		t.Run(match, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, kind gateway.Kind) {
				a := start(t, kind, "0%/20%, 50%", harness.Annotation(canary.MatchAnnotation, match))
				a.hold(v2)
				a.matching(request.matching, v2)
				a.matching(request.other, v1)
				a.only(v1)
				a.next(2)
				a.shareOfTheRest(v2, 50)
				a.matching(request.matching, v2)
				a.Abort("web")
				a.matching(request.matching, v1)
				a.settle(v1)
				a.SetImage("web", v1)
				a.restored()
				a.nothingLost()
			})
		})
	}
}

// matching requires that requests with a header, "NAME=VALUE", are answered by one version, as soon as the gateway knows it.
func (a *app) matching(header, image string) {
	a.t.Helper()
	a.Eventually("requests with "+header+" go to "+image, func(context.Context) error {
		if got := plane.BurstWith(a.t, gateway.Host(a.Name), 50, header); len(got.Of(image)) < len(got) {
			return fmt.Errorf("they go to %v", got.Shares())
		}
		return nil
	})
	answers := plane.BurstWith(a.t, gateway.Host(a.Name), 1000, header)
	require.Empty(a.t, answers.Lost())
	require.Len(a.t, answers.Of(image), len(answers))
}

// shareOfTheRest requires that requests without the header are shared as a step says, as soon as the gateway knows it:
// of a route that has a rule for the header, it shows the weights of both rules.
func (a *app) shareOfTheRest(image string, percent float64) {
	a.t.Helper()
	plane.Await(a.t, gateway.Host(a.Name), image+" answers without the header", func(answer gateway.Answer) bool { return answer.Image == image })
	answers := plane.Burst(a.t, gateway.Host(a.Name), sample)
	require.Empty(a.t, answers.Lost())
	require.InDelta(a.t, percent, answers.Shares()[image], within)
}
