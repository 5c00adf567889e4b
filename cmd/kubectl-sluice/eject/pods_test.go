package eject

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/canary"
)

// setOf returns a set of three in order whose pods are, from the lowest: s stable, n new; upper case: not
// ready.
func setOf(partition int32, pods string) set {
	s := set{mark: canary.Promoting, replicas: 3, partition: partition, inOrder: true, observed: true, current: "old", update: "new"}
	for i, kind := range pods {
		p := pod{name: "db-" + string(rune('0'+i)), index: int32(i), revision: "old", ready: true, available: true}
		if kind == 'n' || kind == 'N' {
			p.revision = "new"
		}
		if kind < 'a' {
			p.ready, p.available = false, false
		}
		s.pods = append(s.pods, p)
	}
	return s
}

func TestWhatIsLeftToDoForAStatefulSet(t *testing.T) {
	closed := canary.ClosedPartition
	reverted := func(s *set) { s.mark, s.update = canary.Reverting, "old" }
	paused := func(s *set) { s.mark = canary.Aborted }
	tests := map[string]struct {
		set       set
		change    func(*set)
		rush      bool
		want      string // the pod that goes
		wantAwait bool
	}{
		"promoted: the native controller replaces what is ready":               {set: setOf(0, "ssn")},
		"promoted: an old pod that is not ready would be waited for":           {set: setOf(0, "sSn"), want: "db-1"},
		"promoted: a new pod that is not ready is the user's":                  {set: setOf(0, "ssN")},
		"reverted: a new pod that is not ready would be waited for":            {set: setOf(0, "ssN"), change: reverted, want: "db-2"},
		"reverted: the highest goes first":                                     {set: setOf(0, "sNN"), change: reverted, want: "db-2"},
		"reverted: a stable pod that is not ready stays":                       {set: setOf(0, "sSs"), change: reverted},
		"reverted: below its owner's partition a new pod would stay":           {set: setOf(3, "ssn"), change: reverted, want: "db-2"},
		"reverted: below its owner's partition one goes after another":         {set: setOf(3, "snS"), change: reverted, wantAwait: true},
		"reverted: below its owner's partition none waits in a rush":           {set: setOf(3, "snS"), change: reverted, rush: true, want: "db-1"},
		"reverted: below its owner's partition what is not ready goes":         {set: setOf(3, "Nns"), change: reverted, want: "db-0"},
		"reverted: above its owner's partition the native controller replaces": {set: setOf(2, "ssn"), change: reverted},
		"reverted: above its owner's partition what is not ready goes first":   {set: setOf(2, "snN"), change: reverted, want: "db-2"},
		"reverted: both versions in force stay":                                {set: setOf(2, "ssn"), change: func(s *set) { s.mark = canary.Reverting }},
		"reverted, with its owner's closed partition":                          {set: setOf(closed, "ssn"), change: reverted, want: "db-2"},
		"reverted, with its owner's partition, and its status is of before":    {set: setOf(3, "ssn"), change: func(s *set) { s.mark, s.observed = canary.Reverting, false }, wantAwait: true},
		"promoted: below its owner's partition nothing is replaced":            {set: setOf(3, "ssn"), change: func(s *set) { s.update = "newer" }},
		"promoted: behind its owner's closed partition nothing is replaced":    {set: setOf(closed, "ssn")},
		"it had no release, and its owner closed the partition":                {set: setOf(closed, "ssn"), change: func(s *set) { s.mark = "" }},
		"it had no release, and a pod is not ready":                            {set: setOf(0, "sSn"), change: func(s *set) { s.mark = "" }},
		"reverted, in parallel: the native controller waits for none":          {set: setOf(0, "ssN"), change: func(s *set) { reverted(s); s.inOrder = false }},
		"reverted, and its status is of before":                                {set: setOf(0, "ssN"), change: func(s *set) { s.observed = false }, wantAwait: true},
		"all are ready, and its status is of before":                           {set: setOf(0, "ssn"), change: func(s *set) { s.observed = false }},
		"left paused: the highest goes":                                        {set: setOf(closed, "snn"), change: paused, want: "db-2"},
		"left paused: the next one waits":                                      {set: setOf(closed, "snS"), change: paused, wantAwait: true},
		"left paused: the next one does not wait in a rush":                    {set: setOf(closed, "snS"), change: paused, rush: true, want: "db-1"},
		"left paused: what is not ready goes at once":                          {set: setOf(closed, "SnN"), change: paused, want: "db-2"},
		"left paused: all are back":                                            {set: setOf(closed, "sss"), change: paused},
		"left paused: one is on its way out":                                   {set: setOf(closed, "snn"), change: func(s *set) { paused(s); s.pods[2].ending = true }, wantAwait: true},
		"left paused, and Kubernetes has no other version":                     {set: setOf(closed, "nnn"), change: func(s *set) { paused(s); s.current = "new" }},
		"left paused, and its status is of before":                             {set: setOf(closed, "ssn"), change: func(s *set) { paused(s); s.observed = false }, wantAwait: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.change != nil {
				test.change(&test.set)
			}
			got := test.set.left(test.rush)
			name := ""
			if got.remove != nil {
				name = got.remove.name
			}
			require.Equal(t, test.want, name)
			require.Equal(t, test.wantAwait, got.await.what != "", got.await)
		})
	}
}
