package eject

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
	"sluice.dev/sluice/cmd/kubectl-sluice/workload"
)

func subjectIn(phase canary.Phase) *Subject {
	w := &workload.Workload{Ref: workload.Ref{Kind: workload.Deployment, Namespace: "shop", Name: "web"}, TemplateHash: "new"}
	w.Release = &canary.Release{
		ID: 5, Phase: phase, Step: 1, Reason: "its pod crashes", Stable: canary.Revision{Hash: "old"}, Canary: canary.Revision{Hash: "new"},
	}
	if phase == canary.Reverting {
		w.TemplateHash = "old"
	}
	return &Subject{Workload: w, Stable: []byte("{}"), Whole: true}
}

// The table of the package comment, row for row.
func TestHowAReleaseEnds(t *testing.T) {
	const asks, refused = canary.Ending("asks"), canary.Ending("refused")
	promote, revert, paused := canary.EndPromoted, canary.EndReverted, canary.EndPaused
	type row [4]canary.Ending // no flag, --promote, --revert, --leave-paused
	tests := map[canary.Phase]struct{ named, inScope row }{
		canary.Progressing: {row{asks, promote, revert, paused}, row{asks, promote, revert, paused}},
		canary.Waiting:     {row{asks, promote, revert, paused}, row{asks, promote, revert, paused}},
		canary.Aborted:     {row{asks, promote, revert, paused}, row{asks, refused, revert, paused}},
		canary.Promoting:   {row{promote, promote, revert, refused}, row{promote, promote, promote, promote}},
		canary.Reverting:   {row{revert, refused, revert, refused}, row{revert, revert, revert, revert}},
		"Draining":         {row{refused, refused, refused, refused}, row{refused, refused, refused, refused}},
	}
	for phase, test := range tests {
		for named, want := range map[bool]row{true: test.named, false: test.inScope} {
			for i, flag := range []canary.Ending{"", promote, revert, paused} {
				got, err := Request{Ending: flag, Named: named}.ending(subjectIn(phase))
				if held := (Held{}); err != nil {
					got = refused
					if asksFor(err, &held) {
						got = asks
					}
				}
				require.Equal(t, want[i], got, "%s, named %t, flag %q", phase, named, flag)
			}
		}
	}
}

func asksFor(err error, held *Held) bool {
	found, ok := err.(Held) //nolint:errorlint // it is returned as it is
	*held = found
	return ok
}

func TestAnEndingThatCannotBeDoneIsRefusedWithTheOtherWays(t *testing.T) {
	tests := map[string]struct {
		ending  canary.Ending
		change  func(*Subject)
		wantErr string
	}{
		"nobody knows the stable version any more": {
			ending: canary.EndReverted, change: func(s *Subject) { s.Stable = nil },
			wantErr: "the stable version of deployment/web cannot be brought back, since no record of it exists any more: " +
				"apply the old version from its source, or end the release with --promote or --leave-paused",
		},
		"nobody knows it, but the spec has it": {
			ending: canary.EndReverted, change: func(s *Subject) { s.Stable, s.TemplateHash = nil, "old" },
		},
		"the stable version does not run whole": {
			ending: canary.EndPaused, change: func(s *Subject) { s.Whole = false },
			wantErr: "deployment/web cannot be left paused, since its stable version does not run all of its pods by itself: use --promote or --revert",
		},
		"another version came past admission while it was promoted": {
			change:  func(s *Subject) { s.Release.Phase, s.TemplateHash = canary.Promoting, "third" },
			wantErr: "deployment/web has release 5, which is Promoting: say how it ends",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := subjectIn(canary.Waiting)
			test.change(s)
			_, err := Request{Ending: test.ending, Named: true}.ending(s)
			if test.wantErr == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.wantErr)
		})
	}
}

func TestTheSpecGetsTheStableTemplateOnlyWhereItHasAnother(t *testing.T) {
	require.NotNil(t, subjectIn(canary.Waiting).template(canary.EndReverted))
	require.Nil(t, subjectIn(canary.Waiting).template(canary.EndPromoted))
	require.Nil(t, subjectIn(canary.Waiting).template(canary.EndPaused))
	require.Nil(t, subjectIn(canary.Reverting).template(canary.EndReverted))
	drifted := subjectIn(canary.Waiting)
	drifted.TemplateHash, drifted.Digest = "old", "v1:k1:00"
	require.NotNil(t, drifted.template(canary.EndReverted), "its digest would restart every pod")
}
