package traffic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/test/e2e/gateway"
)

// weighed is a version that gets requests by a weight.
type weighed struct {
	image string
	// taken: its weight is taken away again, by an abort or by another version. Else it is promoted.
	taken bool
}

// takesUp is how long Traefik, on a busy machine, takes to act on what was stored.
const takesUp = 2 * time.Second

// routed requires that each of these versions, one after another, answered only by its weight: no request before that
// was written, and none after it was taken away.
func (a *app) routed(all gateway.Answers, since time.Time, versions []weighed) {
	a.t.Helper()
	spans := a.routes.weights(a.t, since)
	require.Len(a.t, spans, len(versions), "as often the canary got a weight: %v", spans)
	for i, v := range versions {
		answers := all.Between(since, time.Now())
		first, ok := answers.FirstOf(v.image)
		require.True(a.t, ok, "%s never answered", v.image)
		require.Greater(a.t, first, spans[i].from.Add(-seenLater), "%s answered before its first weight", v.image)
		if !v.taken {
			continue
		}
		require.False(a.t, spans[i].to.IsZero(), "the weight of %s was never taken away", v.image)
		last, _ := answers.LastOf(v.image)
		require.Less(a.t, last, spans[i].to.Add(takesUp), "%s answered after its weight was taken away", v.image)
		if i+1 < len(versions) {
			next, _ := answers.FirstOf(versions[i+1].image)
			require.Less(a.t, last, next, "%s answered before %s was over", versions[i+1].image, v.image)
		}
	}
}

// span is from the moment at which the canary got a weight of more than 0 until it had none any more. The zero to
// means that no route said so.
type span struct{ from, to time.Time }

// weights returns when a canary had a weight by what was stored.
func (r *routes) weights(t *testing.T, since time.Time) []span {
	t.Helper()
	var spans []span
	sends := map[string]bool{} // the routes that give it one
	for _, v := range r.seen() {
		if v.at.Before(since) {
			continue
		}
		name, before := v.route.GetName(), len(sends)
		if canaryWeight(t, r.kind, v.route) > 0 {
			sends[name] = true
		} else {
			delete(sends, name)
		}
		switch {
		case before == 0 && len(sends) > 0:
			spans = append(spans, span{from: v.at})
		case before > 0 && len(sends) == 0:
			spans[len(spans)-1].to = v.at
		}
	}
	return spans
}
