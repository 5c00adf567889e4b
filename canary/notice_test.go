package canary

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice.dev/sluice/hashing"
)

// noted is the annotation of what was seen.
func noted(seen hashing.Seen) string { return seen.Encode() }

// hashOf is the hash of an object's template.
func hashOf(t *testing.T, o object) string {
	t.Helper()
	hash, err := o.workload(t).templateHash()
	require.NoError(t, err)
	return hash
}

func (o object) digest(t *testing.T) string {
	t.Helper()
	digest, err := TemplateDigest(o.workload(t).Spec.Template)
	require.NoError(t, err)
	return digest
}

// seen is the annotation of what was seen.
func (o object) seen(t *testing.T) string {
	t.Helper()
	return o.workload(t).Metadata.Annotations[ConfigSeenAnnotation]
}

// sees is sluice's write of what it saw, in a world where admission reads content with the digest.
func sees(stored object, seen hashing.Seen, digest string) request {
	q := request{stored: stored, sent: stored.annotated(ConfigSeenAnnotation, noted(seen)), user: "sluice", sluice: true}
	q.world.Digest = digest
	return q
}

// digested is web whose template has the digest A, as it was seen.
func digested() object {
	return web("v1").with("spec.template.metadata.annotations", object{"sluice.dev/config-hash": "A"}).annotated(ConfigSeenAnnotation, noted(hashing.Seen{Digest: "A"}))
}

// baselined is web without a digest, whose content A was seen.
func baselined(t *testing.T) object {
	return web("v1").annotated(ConfigSeenAnnotation, noted(hashing.Seen{Digest: "A", Template: hashOf(t, web("v1"))}))
}

// heldConfig holds the content B of an object.
func heldConfig(t *testing.T, stored object) object {
	t.Helper()
	d, held := sees(stored, hashing.Seen{Digest: "B", Changed: map[string][]string{"configmap/app": {"color"}}}, "B").decide(t)
	require.Equal(t, Hold, d.Verdict)
	return held
}

func TestAdmissionOfWhatWasSeenOfConfig(t *testing.T) {
	b, c := hashing.Seen{Digest: "B"}, hashing.Seen{Digest: "C"}
	in := func(change func(r *Release)) func(*testing.T) object {
		return func(t *testing.T) object { return heldConfig(t, digested()).changed(t, change) }
	}
	phase := func(phase Phase) func(*testing.T) object { return in(func(r *Release) { r.Phase = phase }) }
	promoted := func(t *testing.T) object {
		return in(func(r *Release) { r.Phase, r.Stage, r.Sequence = Promoting, Finishing, SequenceM })(t).with("spec.paused", nil)
	}
	tests := map[string]struct {
		stored      func(t *testing.T) object
		seen        hashing.Seen
		digest      string // that admission finds
		world       func(w *World)
		kind        string
		wantVerdict Verdict
		wantReason  Reason
		wantDigest  string
		wantPhase   Phase // empty: no release
		wantStable  string
		wantPaused  bool
	}{
		"a baseline": {stored: fixed(web("v1")), seen: b, digest: "B", wantVerdict: Advanced},
		"a baseline of another template": {
			stored: fixed(web("v1").annotated(ConfigSeenAnnotation, noted(hashing.Seen{Digest: "A", Template: "of another"}))), seen: b, digest: "B", wantVerdict: Advanced,
		},
		"a baseline that nobody could read": {
			stored: fixed(web("v1").annotated(ConfigSeenAnnotation, "{")), seen: b, digest: "B", wantVerdict: Advanced,
		},
		"other content than the baseline":      {stored: baselined, seen: b, digest: "B", wantVerdict: Hold, wantDigest: "B", wantPhase: Progressing, wantPaused: true},
		"the baseline's own content":           {stored: baselined, seen: hashing.Seen{Digest: "A", Template: "another"}, digest: "", wantVerdict: Advanced},
		"other content":                        {stored: fixed(digested()), seen: b, digest: "B", wantVerdict: Hold, wantDigest: "B", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"the same content":                     {stored: fixed(digested()), seen: hashing.Seen{Digest: "A", Of: "A"}, digest: "A", wantVerdict: Advanced, wantDigest: "A"},
		"content that changed back since":      {stored: fixed(digested()), seen: b, digest: "A", wantVerdict: Advanced, wantDigest: "A"},
		"content that changed again since":     {stored: fixed(digested()), seen: b, digest: "C", wantVerdict: Hold, wantDigest: "C", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"a namespace that opted out":           {stored: fixed(digested()), seen: b, digest: "B", world: func(w *World) { w.OptedOut = true }, wantVerdict: Advanced, wantDigest: "A"},
		"config that is missing":               {stored: fixed(digested()), seen: b, digest: "", world: func(w *World) { w.ConfigMissing = true }, wantVerdict: Advanced, wantDigest: "A"},
		"config that is ignored":               {stored: fixed(digested().annotated(ConfigAnnotation, "ignore")), seen: b, digest: "B", wantVerdict: Advanced, wantDigest: "A"},
		"config that the namespace ignores":    {stored: fixed(digested()), seen: b, digest: "B", world: func(w *World) { w.NamespaceAnnotations = map[string]string{ConfigAnnotation: "ignore"} }, wantVerdict: Advanced, wantDigest: "A"},
		"a policy that is not valid":           {stored: fixed(digested().annotated(StepsAnnotation, "no")), seen: b, digest: "B", wantVerdict: Advanced, wantDigest: "A"},
		"a namespace's policy is not valid":    {stored: fixed(digested()), seen: b, digest: "B", world: func(w *World) { w.NamespaceAnnotations = map[string]string{StepsAnnotation: "no"} }, wantVerdict: Advanced, wantDigest: "A"},
		"canaries are disabled":                {stored: fixed(digested().annotated(CanaryAnnotation, "disabled")), seen: b, digest: "B", wantVerdict: Native, wantReason: Disabled, wantDigest: "B"},
		"no replicas":                          {stored: fixed(digested().with("spec.replicas", 0)), seen: b, digest: "B", wantVerdict: Native, wantReason: NoReplicas, wantDigest: "B"},
		"Recreate":                             {stored: fixed(digested().with("spec.strategy", object{"type": "Recreate"})), seen: b, digest: "B", wantVerdict: Native, wantReason: Recreates, wantDigest: "B"},
		"never available":                      {stored: fixed(digested().with("status", object{})), seen: b, digest: "B", wantVerdict: Native, wantReason: NeverAvailable, wantDigest: "B"},
		"a DaemonSet":                          {stored: fixed(digested()), kind: DaemonSet, seen: b, digest: "B", wantVerdict: Native, wantReason: NotHeld, wantDigest: "B"},
		"a DaemonSet, the same":                {stored: fixed(digested()), kind: DaemonSet, seen: hashing.Seen{Digest: "A", Of: "x"}, digest: "A", wantVerdict: Advanced, wantDigest: "A"},
		"the user's own pause":                 {stored: fixed(digested().with("spec.paused", true)), seen: b, digest: "B", wantVerdict: Hold, wantDigest: "B", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"being deleted":                        {stored: fixed(digested().with("metadata.deletionTimestamp", "2026-03-01T12:00:00Z")), seen: b, digest: "B", wantVerdict: Unchanged, wantDigest: "A"},
		"other content while pods are made":    {stored: phase(Progressing), seen: c, digest: "C", wantVerdict: Superseded, wantDigest: "C", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"other content while it waits":         {stored: phase(Waiting), seen: c, digest: "C", wantVerdict: Superseded, wantDigest: "C", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"other content after an abort":         {stored: phase(Aborted), seen: c, digest: "C", wantVerdict: Superseded, wantDigest: "C", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"other content during a held revert":   {stored: phase(Reverting), seen: c, digest: "C", wantVerdict: Superseded, wantDigest: "C", wantPhase: Progressing, wantStable: "A", wantPaused: true},
		"other content while it is rolled out": {stored: promoted, seen: c, digest: "C", wantVerdict: Superseded, wantDigest: "C", wantPhase: Progressing, wantStable: "B", wantPaused: true},
		"the canary's content while it waits":  {stored: phase(Waiting), seen: hashing.Seen{Digest: "B", Of: "x"}, digest: "B", wantVerdict: Advanced, wantDigest: "B", wantPhase: Waiting, wantStable: "A", wantPaused: true},
		"an aborted content":                   {stored: phase(Aborted), seen: hashing.Seen{Digest: "B", Of: "x"}, digest: "B", wantVerdict: Advanced, wantDigest: "B", wantPhase: Aborted, wantStable: "A", wantPaused: true},
		"the stable content while it waits":    {stored: phase(Waiting), seen: hashing.Seen{Digest: "A"}, digest: "A", wantVerdict: Reverted, wantDigest: "A", wantPhase: Reverting, wantStable: "A", wantPaused: true},
		"the stable content after an abort":    {stored: phase(Aborted), seen: hashing.Seen{Digest: "A"}, digest: "A", wantVerdict: Reverted, wantDigest: "A", wantPhase: Reverting, wantStable: "A", wantPaused: true},
		"the stable content while rolled out":  {stored: promoted, seen: hashing.Seen{Digest: "A"}, digest: "A", wantVerdict: Reverted, wantDigest: "A", wantPhase: Reverting, wantStable: "A"},
		"the stable content without a digest": {
			stored: func(t *testing.T) object { return heldConfig(t, baselined(t)) }, seen: hashing.Seen{Digest: "A"}, digest: "",
			wantVerdict: Reverted, wantPhase: Reverting, wantPaused: true,
		},
		"missing config while it waits": {stored: phase(Waiting), seen: c, world: func(w *World) { w.ConfigMissing = true }, wantVerdict: Advanced, wantDigest: "B", wantPhase: Waiting, wantStable: "A", wantPaused: true},
		"opted out while it waits":      {stored: phase(Waiting), seen: c, digest: "C", world: func(w *World) { w.OptedOut = true }, wantVerdict: Advanced, wantDigest: "B", wantPhase: Waiting, wantStable: "A", wantPaused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			q := sees(test.stored(t), test.seen, test.digest)
			q.kind = test.kind
			if test.world != nil {
				test.world(&q.world)
			}
			d, stored := q.decide(t)
			require.Equal(t, test.wantVerdict, d.Verdict)
			require.Equal(t, test.wantReason, d.Reason)
			require.Equal(t, test.wantDigest, stored.digest(t))
			require.Equal(t, test.wantPaused, stored.workload(t).Spec.Paused)
			require.Equal(t, hashOf(t, q.stored), hashOf(t, stored), "config changes no template")
			release := stored.release(t)
			if test.wantPhase == "" {
				require.Nil(t, release)
				return
			}
			require.Equal(t, test.wantPhase, release.Phase)
			require.Equal(t, test.wantStable, release.Stable.Digest)
			if release.Phase != Reverting {
				require.Equal(t, stored.digest(t), release.Canary.Digest, "the template has the canary's digest")
			}
		})
	}
}

func TestAConfigReleaseOfAStatefulSet(t *testing.T) {
	stored := set("v1").with("spec.template.metadata.annotations", object{"sluice.dev/config-hash": "A"}).annotated(ConfigSeenAnnotation, noted(hashing.Seen{Digest: "A"}))
	write := func(stored object, digest string) (Decision, object) {
		q := sees(stored, hashing.Seen{Digest: digest}, digest)
		q.kind = StatefulSet
		return q.decide(t)
	}
	d, held := write(stored, "B")
	require.Equal(t, Hold, d.Verdict)
	require.Equal(t, closed, held.workload(t).Spec.UpdateStrategy.Partition())
	d, superseded := write(held, "C")
	require.Equal(t, Superseded, d.Verdict)
	require.Equal(t, "A", superseded.release(t).Stable.Digest)
	d, reverted := write(superseded, "A")
	require.Equal(t, Reverted, d.Verdict)
	require.Equal(t, "A", reverted.digest(t))
	require.Equal(t, Finishing, reverted.release(t).Stage)

	finishing := held.changed(t, func(r *Release) { r.Phase, r.Stage, r.Sequence = Promoting, Finishing, SequenceP })
	d, next := write(finishing, "C")
	require.Equal(t, Superseded, d.Verdict)
	require.Equal(t, "B", next.release(t).Stable.Digest)
	require.Equal(t, "A", next.release(t).Former.Digest)
	d, former := write(next, "A")
	require.Equal(t, Reverted, d.Verdict, "the version before is taken back too")
	require.Equal(t, "A", former.digest(t))

	d, native := write(stored.with("spec.updateStrategy", object{"type": "OnDelete"}), "B")
	require.Equal(t, Native, d.Verdict)
	require.Equal(t, "B", native.digest(t))
}

func TestAConfigReleaseSaysWhatItIsAbout(t *testing.T) {
	release := heldConfig(t, digested()).release(t)
	require.Equal(t, "configmap/app: color", release.Cause)
	require.Equal(t, "sluice", release.Author)
	_, held := sees(digested(), hashing.Seen{Digest: "B"}, "B").decide(t)
	require.Equal(t, "its config", held.release(t).Cause)
}

// Whoever may change a ConfigMap may not thereby retry somebody's aborted version, nor become its author.
func TestAConfigChangeOfAUsersOwnVersion(t *testing.T) {
	q := request{stored: digested(), sent: digested().image("v2"), user: "alice"}
	q.world.Digest = "A"
	_, held := q.decide(t)
	require.Equal(t, "alice", held.release(t).Author)

	waiting := held.changed(t, func(r *Release) { r.Phase, r.Settled = Waiting, true })
	d, next := sees(waiting, hashing.Seen{Digest: "B"}, "B").decide(t)
	require.Equal(t, Superseded, d.Verdict)
	require.Equal(t, "alice", next.release(t).Author, "it is still her template")

	aborted := held.changed(t, func(r *Release) { r.Phase, r.Settled = Aborted, true })
	d, next = sees(aborted, hashing.Seen{Digest: "B"}, "B").decide(t)
	require.Equal(t, Advanced, d.Verdict)
	require.Equal(t, aborted.release(t), next.release(t))
	require.Equal(t, aborted.seen(t), next.seen(t), "what was seen before stays, too")
}

// A baseline is all that tells what a template without a digest was released with.
func TestABaselineSurvivesALookThatAdmissionDoesNotShare(t *testing.T) {
	for name, change := range map[string]func(*request){
		"the content went back":    func(q *request) { q.world.Digest = "" },
		"something is missing now": func(q *request) { q.world.ConfigMissing = true },
		"it opted out":             func(q *request) { q.world.OptedOut = true },
	} {
		t.Run(name, func(t *testing.T) {
			stored := baselined(t)
			q := sees(stored, hashing.Seen{Digest: "B"}, "B")
			change(&q)
			d, next := q.decide(t)
			require.Equal(t, Advanced, d.Verdict)
			require.Equal(t, stored.seen(t), next.seen(t))
			require.Nil(t, next.release(t))
		})
	}
}

// What was seen of a stable template without a digest is there again when it is taken back, whoever takes it back, so
// that the next change of config is told from it.
func TestABaselineComesBackWithItsTemplate(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hash := hashOf(t, web("v1"))
	imaged := func(t *testing.T) object {
		q := request{stored: baselined(t), sent: baselined(t).image("v2")}
		q.world.Digest = "B"
		_, stored := q.decide(t)
		_, stored = sees(stored, hashing.Seen{Digest: "B", At: &at, Streak: 2}, "B").decide(t)
		return stored
	}
	tests := map[string]struct {
		request func(t *testing.T) request
		want    hashing.Seen
	}{
		"the config goes back": {func(t *testing.T) request {
			return sees(heldConfig(t, baselined(t)), hashing.Seen{Digest: "A", At: &at, Streak: 2}, "")
		}, hashing.Seen{Digest: "A", Template: hash, At: &at, Streak: 2}},
		"the config went on since": {func(t *testing.T) request {
			return sees(heldConfig(t, baselined(t)), hashing.Seen{Digest: "C", At: &at, Streak: 2}, "")
		}, hashing.Seen{Digest: "A", Template: hash, At: &at, Streak: 2}},
		"a user applies the template of before": {func(t *testing.T) request {
			stored := imaged(t)
			return request{stored: stored, sent: stored.image("v1")}
		}, hashing.Seen{Digest: "A", Template: hash, At: &at, Streak: 2}},
		"a user applies the file of before": {func(t *testing.T) request {
			return request{stored: imaged(t), sent: file("v1")}
		}, hashing.Seen{Digest: "A", Template: hash, At: &at, Streak: 2}},
		"the release settles on the content of before": {func(t *testing.T) request {
			stored := heldConfig(t, baselined(t))
			return request{stored: stored, sent: stored.changed(t, func(r *Release) { r.Settled = true }), user: "sluice", sluice: true}
		}, hashing.Seen{Digest: "A", Template: hash, Changed: map[string][]string{"configmap/app": {"color"}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, stored := test.request(t).decide(t)
			require.Equal(t, Reverting, stored.release(t).Phase)
			require.Empty(t, stored.digest(t))
			require.Equal(t, test.want, hashing.DecodeSeen(stored.workload(t).Metadata.Annotations))
		})
	}
}

func TestWhatWasSeenIsNobodyElses(t *testing.T) {
	forged := noted(hashing.Seen{Digest: "F", Template: hashOf(t, web("v1"))})
	before := digested().workload(t).Metadata.Annotations[ConfigSeenAnnotation]
	tests := map[string]struct {
		stored, sent object
		want         string
	}{
		"a user forges it":                        {digested(), digested().annotated(ConfigSeenAnnotation, forged), before},
		"a user drops it":                         {digested(), digested().annotated(ConfigSeenAnnotation, ""), before},
		"a user makes it up":                      {web("v1"), web("v1").annotated(ConfigSeenAnnotation, forged), ""},
		"a file does not have it":                 {digested(), file("v1"), before},
		"a file of a new version does not either": {digested(), file("v2"), before},
		"a new version and a forged one":          {digested(), digested().image("v2").annotated(ConfigSeenAnnotation, forged), before},
		"a forged one during a release":           {heldConfig(t, digested()), heldConfig(t, digested()).annotated(ConfigSeenAnnotation, forged), heldConfig(t, digested()).workload(t).Metadata.Annotations[ConfigSeenAnnotation]},
		"a copy":                                  {nil, digested(), ""},
		"a copy of a held one":                    {nil, heldConfig(t, digested()), ""},
	}
	for name, test := range tests {
		for _, kind := range []string{Deployment, DaemonSet} {
			t.Run(name+" "+kind, func(t *testing.T) {
				q := request{stored: test.stored, sent: test.sent, kind: kind}
				q.world.Digest = "A"
				if kind == DaemonSet && test.stored != nil {
					q.stored = test.stored.annotated(ReleaseAnnotation, "").labelled(ActiveLabel, "")
				}
				d, stored := q.decide(t)
				require.NotEqual(t, Denied, d.Verdict)
				require.Equal(t, test.want, stored.workload(t).Metadata.Annotations[ConfigSeenAnnotation])
			})
		}
	}
}

// A forged annotation rolls nothing by itself: only sluice's own write does, and a write of sluice that also changes the
// template is refused.
func TestAForgedNoteRollsNothing(t *testing.T) {
	q := request{stored: digested(), sent: digested().annotated(ConfigSeenAnnotation, noted(hashing.Seen{Digest: "F"}))}
	needs, err := Ask(q.review(t))
	require.NoError(t, err)
	require.Equal(t, Needs{}, needs, "nothing is read for it")
	d, stored := q.decide(t)
	require.Equal(t, Unchanged, d.Verdict)
	require.Equal(t, "A", stored.digest(t))
	require.Nil(t, stored.release(t))

	template := sees(digested(), hashing.Seen{Digest: "B"}, "B")
	template.sent = template.sent.image("v2")
	d, _ = template.decide(t)
	require.Equal(t, Denied, d.Verdict)
	require.Equal(t, Bug, d.Reason)
}

func TestKnownConfig(t *testing.T) {
	note := func(seen hashing.Seen) func(object) object {
		return func(o object) object { return o.annotated(ConfigSeenAnnotation, noted(seen)) }
	}
	tests := map[string]struct {
		stored, sent object
		want         [][2]string
		wantSame     string // for each of want: of the same template, or of another
	}{
		"a first version":                          {nil, web("v1"), nil, ""},
		"nobody knows":                             {web("v1"), web("v1"), [][2]string{{"", ""}, {"", ""}}, "ss"},
		"a baseline":                               {baselined(t), baselined(t), [][2]string{{"A", ""}, {"", ""}}, "ss"},
		"a baseline of the version before":         {baselined(t), baselined(t).image("v2"), nil, ""},
		"a digest":                                 {digested(), digested(), [][2]string{{"", "A"}, {"A", "A"}}, "ss"},
		"a digest of the version before":           {digested(), digested().image("v2"), [][2]string{{"", "A"}, {"A", "A"}}, "oo"},
		"a digest that was seen under another key": {note(hashing.Seen{Digest: "A2", Of: "A"})(digested()), digested().image("v2"), [][2]string{{"A2", "A"}, {"A", "A"}}, "oo"},
		"a release":                                {heldConfig(t, digested()), heldConfig(t, digested()), [][2]string{{"", "B"}, {"B", "B"}, {"", "A"}, {"A", "A"}}, "ssss"},
		"a release from a baseline": {
			heldConfig(t, baselined(t)), heldConfig(t, baselined(t)), [][2]string{{"", "B"}, {"B", "B"}, {"A", ""}, {"", ""}}, "ssss",
		},
		"another image than the baseline's": {
			heldConfig(t, baselined(t)), heldConfig(t, baselined(t)).image("v2"), [][2]string{{"", "B"}, {"B", "B"}, {"", ""}}, "ooo",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			known, err := KnownConfig(request{stored: test.stored, sent: test.sent}.review(t))
			require.NoError(t, err)
			var got [][2]string
			same := ""
			for _, k := range known {
				got = append(got, [2]string{k.Digest, k.Means})
				same += map[bool]string{true: "s", false: "o"}[k.SameTemplate]
			}
			require.Equal(t, test.want, got)
			require.Equal(t, test.wantSame, same)
		})
	}
	_, err := KnownConfig(Review{Operation: Update, Kind: Deployment, Old: &Workload{Spec: Spec{Template: json.RawMessage(`[`)}}, New: &Workload{Spec: Spec{Template: json.RawMessage(`{`)}}})
	require.Error(t, err)
}
