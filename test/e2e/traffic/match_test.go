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
	const header = "x-canary=yes"
	each(t, func(t *testing.T, kind gateway.Kind) {
		a := start(t, kind, "0%/20%, 50%", harness.Annotation(canary.MatchAnnotation, "header:"+header))
		a.hold(v2)
		a.matching(header, v2)
		a.only(v1)
		a.next(2)
		a.share(v2, 50, sample)
		a.matching(header, v2)
		a.Abort("web")
		a.back(v1)
		a.matching(header, v1)
		a.SetImage("web", v1)
		a.restored()
		a.nothingLost()
	})
}

// matching requires that requests with a header are answered by one version, as soon as the gateway knows it.
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
