package certs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rows of the table in doc.go, and their edges.
func TestPlan(t *testing.T) {
	ca, next, old := newCA(t, start), newCA(t, start), newCA(t, start.Add(-30*day))
	caCert, nextCert, oldCert := ca.Certificate, next.Certificate, old.Certificate
	due := start.Add(60 * day)
	steady := Stored{Signing: ca}
	retiring := Stored{Signing: ca, Retired: Bundle{oldCert}, RetiredSince: start}
	waited := quick.Propagation + quick.Skew
	announced := Stored{Signing: ca, Next: next, Announced: start}

	for name, tc := range map[string]struct {
		stored     Stored
		observed   Observed
		now        time.Time
		wantAction Action
		wantStore  Stored
		wantMint   Role
		wantBundle Bundle
		wantWait   time.Duration
	}{
		"nothing anywhere: the first CA signs at once": {
			observed: Observed{{}, {}}, now: start,
			wantAction: Found, wantMint: Signing,
		},
		"the Secret is gone and webhooks trust a CA: the new one waits, the trusted one is retired": {
			observed: Observed{{oldCert}, {}}, now: start,
			wantAction: Found, wantMint: Next, wantStore: Stored{Retired: Bundle{oldCert}, RetiredSince: start},
		},
		"everything expired while sluice was down for years: a new CA signs at once": {
			stored: announced, observed: Observed{{caCert, nextCert}}, now: start.Add(1000 * day),
			wantAction: Found, wantMint: Signing,
		},
		"the signing CA expired while its successor was announced": {
			stored: Stored{Signing: old, Next: ca, Announced: start}, observed: Observed{{oldCert, caCert}}, now: start.Add(61 * day),
			wantAction: Promote, wantStore: Stored{Signing: ca},
		},
		"a webhook trusts a CA that is not stored": {
			stored: steady, observed: Observed{{caCert}, {oldCert}}, now: start,
			wantAction: Adopt, wantStore: Stored{Signing: ca, Retired: Bundle{oldCert}, RetiredSince: start},
		},
		"a webhook trusts an unknown CA that expired: it is overwritten": {
			stored: steady, observed: Observed{{caCert, newCA(t, start.Add(-91*day)).Certificate}}, now: start,
			wantAction: Keep, wantStore: steady, wantBundle: Bundle{caCert}, wantWait: renewAt(caCert).Sub(start),
		},
		"the bundle is not written yet": {
			stored: steady, observed: Observed{{}, {caCert}}, now: start,
			wantAction: Keep, wantStore: steady, wantBundle: Bundle{caCert}, wantWait: renewAt(caCert).Sub(start),
		},
		"past 2/3 of the CA's life": {
			stored: steady, observed: Observed{{caCert}}, now: due,
			wantAction: Announce, wantMint: Next, wantStore: steady,
		},
		"the next CA is stored and no webhook trusts it: the bundle comes first": {
			stored: Stored{Signing: ca, Next: next}, observed: Observed{{caCert}}, now: due,
			wantAction: Keep, wantStore: Stored{Signing: ca, Next: next}, wantBundle: Bundle{caCert, nextCert},
		},
		"one of two webhooks trusts the next CA: not enough": {
			stored: Stored{Signing: ca, Next: next}, observed: Observed{{caCert, nextCert}, {caCert}}, now: due,
			wantAction: Keep, wantStore: Stored{Signing: ca, Next: next}, wantBundle: Bundle{caCert, nextCert},
		},
		"every webhook trusts the next CA": {
			stored: Stored{Signing: ca, Next: next}, observed: Observed{{caCert, nextCert}, {nextCert, caCert}}, now: start,
			wantAction: Confirm, wantStore: announced,
		},
		"someone wiped a bundle during the announcement": {
			stored: announced, observed: Observed{{caCert, nextCert}, {}}, now: start.Add(time.Hour),
			wantAction: Withdraw, wantStore: Stored{Signing: ca, Next: next},
		},
		"announced, one second short of the propagation time": {
			stored: announced, observed: Observed{{caCert, nextCert}}, now: start.Add(waited - time.Second),
			wantAction: Keep, wantStore: announced, wantBundle: Bundle{caCert, nextCert}, wantWait: time.Second,
		},
		"announced for the propagation time": {
			stored: announced, observed: Observed{{caCert, nextCert}}, now: start.Add(waited),
			wantAction: Promote,
			wantStore:  Stored{Signing: next, Retired: Bundle{caCert}, RetiredSince: start.Add(waited)},
		},
		"promoted without a predecessor, after the Secret was gone": {
			stored:   Stored{Next: next, Announced: start, Retired: Bundle{oldCert}, RetiredSince: start},
			observed: Observed{{oldCert, nextCert}}, now: start.Add(waited),
			wantAction: Promote,
			wantStore:  Stored{Signing: next, Retired: Bundle{oldCert}, RetiredSince: start.Add(waited)},
		},
		"retired, one second short of the overlap": {
			stored: retiring, observed: Observed{{caCert, oldCert}}, now: start.Add(quick.Overlap - time.Second),
			wantAction: Keep, wantStore: retiring, wantBundle: Bundle{caCert, oldCert}, wantWait: time.Second,
		},
		"retired past the overlap, and webhooks trust it: they let go first": {
			stored: retiring, observed: Observed{{caCert}, {caCert, oldCert}}, now: start.Add(quick.Overlap),
			wantAction: Keep, wantStore: retiring, wantBundle: Bundle{caCert},
			wantWait: renewAt(caCert).Sub(start.Add(quick.Overlap)),
		},
		"retired past the overlap, and no webhook trusts it": {
			stored: retiring, observed: Observed{{caCert}, {caCert}}, now: start.Add(quick.Overlap),
			wantAction: Drop, wantStore: steady,
		},
		"no webhook configuration exists: a rotation goes on without them": {
			stored: Stored{Signing: ca, Next: next}, now: start,
			wantAction: Confirm, wantStore: announced,
		},
	} {
		t.Run(name, func(t *testing.T) {
			step := Plan(tc.stored, tc.observed, tc.now, quick)
			require.NotEmpty(t, step.Reason)
			step.Reason = ""
			require.Equal(t, Step{
				Action: tc.wantAction, Store: tc.wantStore, Mint: tc.wantMint,
				Bundle: tc.wantBundle, Wait: tc.wantWait,
			}, normal(step))
		})
	}
}

// normal makes empty and absent bundles equal.
func normal(step Step) Step {
	if len(step.Store.Retired) == 0 {
		step.Store.Retired = nil
	}
	return step
}
