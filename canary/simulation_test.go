package canary

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// simulation is a Deployment with its ReplicaSets, the native controllers as measured
// (k8s.io/kubernetes pkg/controller/deployment), sluice's admission (the real Decide) and its
// controller (the real Next).
type simulation struct {
	t          reporter
	d          object
	decoded    *Workload // of d
	generation int
	status     WorkloadState // what the deployment controller last wrote
	conditions []Condition   // what sluice wrote
	wrote      func()        // called after each write of a person or sluice, if set
	sets       []*simSet
	created    int                        // ReplicaSets, ever
	records    map[string]json.RawMessage // stable template by revision
	now        time.Time
	writes     int
	unapproved int32           // pods of unapproved templates at the last check
	approved   map[string]bool // template hashes that may run everywhere
	log        []string
	floor      int32
	missing    int32 // pods that a strategy of before let be missing
	nocheck    bool
	content    string      // of the config, and its digest; empty: the template uses none
	notes      int         // writes of what was seen of it
	slow       bool        // pods become available one by one, and only once everybody else is quiet
	traffic    *simTraffic // nil: nothing divides requests
}

// reporter is what *testing.T and *rapid.T have in common.
type reporter interface {
	require.TestingT
	Fatalf(format string, args ...any)
}

type simSet struct {
	ReplicaSet
	template json.RawMessage
	podHash  string // pod-template-hash
	created  int
	broken   bool // its pods crash from now on
}

func (s *simulation) notef(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// workload is the stored object, decoded once for each write.
func (s *simulation) workload() *Workload {
	if s.decoded == nil {
		raw, err := json.Marshal(s.d)
		require.NoError(s.t, err)
		s.decoded, err = DecodeWorkload(raw)
		require.NoError(s.t, err)
	}
	return s.decoded
}

func (s *simulation) templateHash() string {
	hash, err := s.workload().templateHash()
	require.NoError(s.t, err)
	return hash
}

func (s *simulation) release() *Release {
	r, err := DecodeRelease(s.workload().Metadata.Annotations)
	require.NoError(s.t, err)
	return r
}

// write sends an object through admission, as PUT or patch by a user or sluice.
func (s *simulation) write(sent object, user string, sluice bool, manager string) bool {
	old := s.workload()
	raw, err := json.Marshal(sent)
	require.NoError(s.t, err)
	w, err := DecodeWorkload(raw)
	require.NoError(s.t, err)
	review := Review{Operation: Update, Kind: Deployment, Old: old, New: w, User: user, Sluice: sluice, FieldManager: manager}
	world := may(VerbPromote, VerbAbort, VerbBypass)
	world.Digest = s.digestOf(review)
	d, err := Decide(review, world)
	require.NoError(s.t, err)
	if d.Verdict == Denied {
		s.notef("%s: denied: %s", user, d.Message)
		return false
	}
	stored := sent.admitted(d)
	before, _ := json.Marshal(s.d.with("metadata.generation", nil).with("metadata.resourceVersion", nil))
	after, _ := json.Marshal(stored.with("metadata.generation", nil).with("metadata.resourceVersion", nil))
	if string(before) != string(after) {
		s.generation++ // annotations bump it too
	}
	s.d, s.decoded = stored.with("metadata.generation", s.generation), nil
	s.notef("%s: %s -> %s", user, d.Verdict, s.workload().Metadata.Annotations[ReleaseAnnotation])
	s.note()
	return true
}

func (s *simulation) note() {
	if s.wrote != nil {
		s.wrote()
	}
}

func (s *simulation) state() WorkloadState {
	w := s.workload()
	n := w.Replicas()
	state := s.status
	state.Name, state.Generation, state.Replicas, state.Paused, state.RollingUpdate = "web", int64(s.generation), n, w.Spec.Paused, true
	state.TemplateHash, state.Conditions = s.templateHash(), s.conditions
	state.TemplateDigest = s.digest()
	state.MaxSurge, state.MaxUnavailable = resolve(w.Spec.Strategy.MaxSurge(), n, true), s.maxUnavailable()
	if state.MaxSurge == 0 && state.MaxUnavailable == 0 {
		state.MaxUnavailable = 1
	}
	return state
}

func (s *simulation) maxUnavailable() int32 {
	rolling := s.d["spec"].(object)["strategy"].(object)["rollingUpdate"].(object)
	raw, _ := json.Marshal(rolling["maxUnavailable"])
	return resolve(raw, s.workload().Replicas(), false)
}

func resolve(raw json.RawMessage, n int32, up bool) int32 {
	text := strings.Trim(string(raw), `"`)
	percent, ok := strings.CutSuffix(text, "%")
	v, _ := strconv.Atoi(percent)
	if !ok {
		return int32(v)
	}
	if up {
		return int32((int(n)*v + 99) / 100)
	}
	return int32(int(n) * v / 100)
}

func (s *simulation) observed() Observed {
	o := Observed{Kind: Deployment, Workload: s.state(), Release: s.release(), SettleTime: time.Second, UsesConfig: s.content != ""}
	for _, set := range s.sets {
		o.ReplicaSets = append(o.ReplicaSets, set.ReplicaSet)
	}
	_, o.StableRecorded = s.records[o.Release.Stable.Hash]
	o.Recorded = len(s.records) > 0
	o.Traffic = s.traffic.observed(s, o, s.now)
	return o
}

// sluice makes one move and returns whether it wrote.
func (s *simulation) sluice() bool {
	if s.release() == nil {
		for _, set := range s.sets {
			require.Zero(s.t, set.ReleaseID, "a ReplicaSet keeps its marks after the release")
		}
		s.traffic.isGivenBack(s.t)
		return false
	}
	o := s.observed()
	move := Next(o, s.now)
	require.Equal(s.t, move, Next(o, s.now), "the same observation gives another move")
	if move.Write == nil {
		return false
	}
	s.writes++
	s.notef("sluice: %s", describe(move.Write))
	s.apply(move.Write)
	if move.Event != nil {
		s.notef("event %s: %s", move.Event.Reason, move.Event.Message)
	}
	return true
}

// describe returns the write as JSON, without what it does not do.
func describe(w *Write) string {
	raw, _ := json.Marshal(w)
	var fields map[string]any
	_ = json.Unmarshal(raw, &fields)
	for name, value := range fields {
		if value == nil || value == false {
			delete(fields, name)
		}
	}
	raw, _ = json.Marshal(fields)
	return string(raw)
}

func (s *simulation) apply(w *Write) {
	switch {
	case w.SetRelease != nil:
		require.True(s.t, s.write(s.d.annotated(ReleaseAnnotation, w.SetRelease.Encode()), "sluice", true, ""))
	case w.EndRelease:
		require.True(s.t, s.write(s.d.annotated(ReleaseAnnotation, ""), "sluice", true, ""))
	case w.SetCondition != nil:
		s.conditions = []Condition{*w.SetCondition}
		s.note()
	case w.ClearConditions:
		s.conditions = nil
		s.note()
	case w.RecordStable != nil:
		s.records[s.release().Stable.Hash] = s.find(w.RecordStable.UID).template
	case w.CreateCanary != nil:
		s.create(s.workload().Spec.Template, w.CreateCanary.Replicas, false)
		made := s.sets[len(s.sets)-1]
		made.podHash = CanaryHash(s.release())
		made.ReleaseID, made.Marks, made.Referenced = s.release().ID, w.CreateCanary.Marks, true
	case w.UpdateReplicaSet != nil:
		set := s.find(w.UpdateReplicaSet.ReplicaSet.UID)
		set.Replicas, set.Marks = w.UpdateReplicaSet.Replicas, w.UpdateReplicaSet.Marks
		set.Generation++
	case w.Adopt != nil:
		set := s.find(w.Adopt.ReplicaSet.UID)
		for _, share := range s.traffic.inForce() {
			require.True(s.t, share == nil || (share.Weight == 100 && set.AvailableReplicas >= s.state().Replicas), "it is adopted while its route says %v", share)
		}
		set.Labelled, set.Marks = true, w.Adopt.Marks
	case w.Disown != nil:
		s.find(w.Disown.UID).Labelled = false
	case w.Reference != nil:
		s.find(w.Reference.UID).Referenced = true
	case w.Unmark != nil:
		set := s.find(w.Unmark.UID)
		set.ReleaseID, set.Marks = 0, Marks{}
	case w.DeleteReplicaSet != nil:
		s.remove(w.DeleteReplicaSet.UID)
	case w.RestoreStable != nil:
		s.create(s.records[s.release().Stable.Hash], *w.RestoreStable, true)
	case w.SelectPods:
		s.traffic.selectPods(s.t, s)
	case w.Steer != nil:
		s.traffic.steer(w.Steer.Share)
	case w.ForgetStable:
		s.records = map[string]json.RawMessage{}
	default:
		s.t.Fatalf("this is a bug: an empty write")
	}
}

func (s *simulation) find(uid string) *simSet {
	for _, set := range s.sets {
		if set.UID == uid {
			return set
		}
	}
	s.t.Fatalf("no ReplicaSet %s", uid)
	return nil
}

func (s *simulation) remove(uid string) {
	for i, set := range s.sets {
		if set.UID == uid {
			s.sets = append(s.sets[:i:i], s.sets[i+1:]...)
			return
		}
	}
}

func (s *simulation) create(template json.RawMessage, replicas int32, labelled bool) *simSet {
	hash, err := HashTemplate(template)
	require.NoError(s.t, err)
	s.created++
	set := &simSet{template: template, created: s.created, ReplicaSet: ReplicaSet{
		Name: fmt.Sprintf("web-%d", s.created), UID: strconv.Itoa(s.created), TemplateHash: hash, Labelled: labelled,
		TemplateDigest: s.digestIn(template), Replicas: replicas, Generation: 1,
	}, podHash: strconv.Itoa(s.created)}
	s.sets = append(s.sets, set)
	return set
}

// pods lets the ReplicaSet controller make the pods of one set; those of a broken image never become
// available.
func (s *simulation) pods(set *simSet) {
	if s.slow {
		set.ObservedGeneration, set.StatusReplicas = set.Generation, set.Replicas
		set.AvailableReplicas = min(set.AvailableReplicas, set.Replicas)
		if set.broken || strings.Contains(string(set.template), "broken") {
			set.AvailableReplicas = 0
		}
		return
	}
	set.ObservedGeneration, set.StatusReplicas, set.AvailableReplicas = set.Generation, set.Replicas, set.Replicas
	if set.broken || strings.Contains(string(set.template), "broken") {
		set.AvailableReplicas = 0
	}
}

// native runs one sync of the deployment controller.
func (s *simulation) native() {
	s.traffic.accept(s)
	for _, set := range s.sets {
		if set.Labelled {
			set.Owned, set.Referenced = true, true
		} else if set.Owned {
			set.Owned, set.Referenced = false, false
		}
	}
	d := s.state()
	var owned []*simSet
	var current *simSet
	for _, set := range s.sets {
		if !set.Owned {
			continue
		}
		owned = append(owned, set)
		if set.version() == d.version() && (current == nil || set.created < current.created) {
			current = set
		}
	}
	if d.Paused {
		s.scalePaused(d, owned, current)
	} else {
		if current == nil {
			current = s.create(s.workload().Spec.Template, 0, true)
			current.Owned, current.Referenced = true, true
			owned = append(owned, current)
		}
		s.roll(d, owned, current)
	}
	if current != nil {
		if current.Revision == "" || current.Revision != s.status.Revision {
			revision, _ := strconv.Atoi(s.status.Revision)
			current.Revision = strconv.Itoa(revision + 1)
		}
		s.status.Revision = current.Revision
	}
	s.status.ObservedGeneration, s.status.StatusReplicas, s.status.AvailableReplicas, s.status.UpdatedReplicas = int64(s.generation), 0, 0, 0
	for _, set := range owned {
		s.status.StatusReplicas += set.StatusReplicas
		s.status.AvailableReplicas += set.AvailableReplicas
		if set == current {
			s.status.UpdatedReplicas = set.StatusReplicas
		}
	}
}

func (s *simulation) scaleTo(set *simSet, replicas int32) {
	if set.Replicas != replicas {
		s.notef("deployment controller: %s (%s) %d -> %d", set.Name, set.TemplateHash[:4], set.Replicas, replicas)
		set.Replicas = replicas
		set.Generation++
	}
}

// scalePaused is scale() of sync.go: it does not look at readiness.
func (s *simulation) scalePaused(d WorkloadState, owned []*simSet, current *simSet) {
	var active []*simSet
	var total int32
	for _, set := range owned {
		if set.Replicas > 0 {
			active = append(active, set)
			total += set.Replicas
		}
	}
	if len(active) <= 1 {
		target := current
		switch {
		case len(active) == 1:
			target = active[0]
		case target == nil && len(owned) > 0:
			target = owned[len(owned)-1]
		}
		if target != nil {
			s.scaleTo(target, d.Replicas)
		}
		return
	}
	if current != nil && current.Replicas == d.Replicas && current.AvailableReplicas == d.Replicas {
		for _, set := range active {
			if set != current {
				s.scaleTo(set, 0)
			}
		}
		return
	}
	allowed := d.Replicas + d.MaxSurge
	left := allowed - total
	sort.Slice(active, func(i, j int) bool { return active[i].Replicas > active[j].Replicas })
	for _, set := range active {
		share := left * set.Replicas / max(total, 1)
		s.scaleTo(set, max(set.Replicas+share, 0))
	}
	var now int32
	for _, set := range active {
		now += set.Replicas
	}
	s.scaleTo(active[0], max(active[0].Replicas+allowed-now, 0))
}

// roll is rolling.go: up while total < N + maxSurge, down while available > N - maxUnavailable.
func (s *simulation) roll(d WorkloadState, owned []*simSet, current *simSet) {
	var total, available int32
	for _, set := range owned {
		total += set.Replicas
		available += set.AvailableReplicas
	}
	if current.Replicas > d.Replicas {
		s.scaleTo(current, d.Replicas)
		return
	}
	if up := min(d.Replicas+d.MaxSurge-total, d.Replicas-current.Replicas); up > 0 {
		s.scaleTo(current, current.Replicas+up)
		return
	}
	unavailableNew := current.Replicas - current.AvailableReplicas
	down := min(total-(d.Replicas-d.MaxUnavailable)-unavailableNew, available-(d.Replicas-d.MaxUnavailable))
	for _, set := range owned {
		if set == current || down <= 0 {
			continue
		}
		n := min(down, set.Replicas)
		down -= n
		s.scaleTo(set, set.Replicas-n)
	}
}

// check asserts the invariants that hold after every step.
func (s *simulation) check() {
	w, d, r := s.workload(), s.state(), s.release()
	if !w.Spec.Paused {
		require.True(s.t, s.approved[d.version()], "an unapproved template rolls out natively")
	}
	s.checkConfig(r)
	var serving, unapproved int32
	for _, set := range s.sets {
		serving += min(set.AvailableReplicas, set.StatusReplicas)
		if set.ReleaseID != 0 && !s.approved[set.version()] {
			unapproved += set.Replicas
		}
	}
	if r != nil {
		most := int32(0)
		for step := 1; step <= max(r.Step, 1); step++ {
			most = max(most, r.Policy.step(step).Size(d.Replicas))
		}
		// A superseded canary may have had more; its pods only go.
		require.LessOrEqual(s.t, unapproved, max(most, s.unapproved), "more unapproved pods than the step allows")
		if r.Surge > 0 {
			require.Equal(s.t, r.Surge, d.MaxSurge, "maxSurge is not pinned")
		}
	}
	s.unapproved = unapproved
	s.checkTraffic()
	floor := d.Replicas
	if s.floor > 0 {
		floor = min(floor, s.floor)
	}
	if s.nocheck {
		return
	}
	require.GreaterOrEqual(s.t, serving, floor-max(s.maxUnavailable(), d.MaxUnavailable, s.missing), "fewer pods than the rollout allows")
}

// act does one thing.
func (s *simulation) act(t *rapid.T, name string) {
	switch name {
	case "native":
		s.native()
	case "pods":
		s.pods(s.sets[rapid.IntRange(0, len(s.sets)-1).Draw(t, "set")])
	case "sluice":
		s.sluice()
	default:
		s.user(name)
	}
	s.check()
}

// breakCanary makes a canary's pods crash, as long as the stable pods are whole: whatever happens then,
// they have to stay so.
func (s *simulation) breakCanary() {
	var stable int32
	for _, set := range s.sets {
		if set.ReleaseID == 0 {
			stable += min(set.Replicas, set.AvailableReplicas)
		}
	}
	for _, set := range s.sets {
		if set.ReleaseID != 0 && stable >= s.state().Replicas {
			s.notef("%s breaks", set.Name)
			set.broken = true
			s.pods(set)
		}
	}
}

func (s *simulation) user(name string) {
	r := s.release()
	switch name {
	case "approve all":
		for range 4 {
			s.settleDown()
			s.user("resume")
		}
	case "past admission":
		s.generation++
		s.d, s.decoded = s.d.image("v4").with("spec.paused", s.release() != nil).with("metadata.generation", s.generation), nil
	case "unpaused past admission":
		s.generation++
		s.d, s.decoded = s.d.with("spec.paused", false).with("metadata.generation", s.generation), nil
		s.approved[s.state().version()] = true // whatever happens now is not sluice's
	case "n15", "n3", "n1", "n0", "n10":
		n, _ := strconv.Atoi(name[1:])
		if s.floor == 0 {
			s.floor = s.state().Replicas
		}
		s.floor = min(s.floor, int32(n))
		s.generation++
		s.d, s.decoded = s.d.with("spec.replicas", n).with("metadata.generation", s.generation), nil
		s.notef("N = %d", n)
	case "c1", "c2", "c3":
		s.content = name
		s.notef("the config is %s", name)
	case "config":
		s.config()
	case "settle":
		s.settleDown()
	case "native":
		s.native()
	case "clock":
		s.now = s.now.Add(20 * time.Second)
	case "break":
		s.breakCanary()
	case "resume":
		if r.Holds() && r.Step > 0 && s.write(s.d.with("spec.paused", false), "alice", false, "kubectl-rollout") && s.release().ApprovedBy(r.Step) != "" &&
			r.Step == len(r.Policy.steps()) {
			s.approved[r.Canary.Hash+r.Canary.Digest] = true
		}
	case "abort":
		if r != nil {
			s.write(s.d.annotated(AbortAnnotation, r.Name()), "alice", false, "")
		}
	case "retry":
		if r != nil {
			s.write(s.d.annotated(RetryAnnotation, r.Name()), "alice", false, "")
		}
	case "chart":
		s.missing = max(s.missing, s.state().MaxUnavailable) // a pod that may be missing may not come back at once
		s.write(s.d.with("spec.paused", false).with("spec.strategy.rollingUpdate.maxSurge", "25%"), "helm", false, "helm")
	default:
		s.write(s.d.image(name), "alice", false, "")
	}
}

func newSimulation(t reporter, n int, surge, unavailable any, steps string) *simulation {
	d := web("v1").with("spec.replicas", n).with("spec.strategy.rollingUpdate", object{"maxSurge": surge, "maxUnavailable": unavailable}).
		annotated(StepsAnnotation, steps).annotated(DeadlineAnnotation, "2m").with("metadata.resourceVersion", nil)
	s := &simulation{t: t, d: d, generation: 4, records: map[string]json.RawMessage{}, now: time.Unix(1000000, 0), approved: map[string]bool{}}
	s.approved[s.state().version()] = true
	set := s.create(s.workload().Spec.Template, int32(n), true)
	s.pods(set)
	s.native()
	return s
}

// settleDown lets everybody but the user work until nothing changes.
func (s *simulation) settleDown() {
	for round := 0; round < 1500; round++ {
		before := len(s.log)
		for _, set := range s.sets {
			s.pods(set)
		}
		s.native()
		s.check()
		s.sluice()
		s.check()
		s.config()
		s.check()
		if s.slow && len(s.log) == before {
			for _, set := range s.sets {
				if set.AvailableReplicas < set.Replicas && !set.broken && !strings.Contains(string(set.template), "broken") {
					set.AvailableReplicas++
					s.log = append(s.log, "a pod of "+set.Name+" becomes available")
					break
				}
			}
		}
		if len(s.log) == before && round > 3 {
			return
		}
	}
	s.t.Fatalf("it does not settle:\n%s", strings.Join(s.log[max(0, len(s.log)-30):], "\n"))
}

// drawAction returns mostly what the controllers do, in any order, and what a person does now and then.
func drawAction(t *rapid.T) string {
	people := []string{"resume", "resume", "resume", "clock", "break", "abort", "retry", "chart", "v1", "v2", "v3", "broken"}
	if rapid.IntRange(0, 19).Draw(t, "who") == 0 {
		return rapid.SampledFrom(people).Draw(t, "action")
	}
	return rapid.SampledFrom([]string{"native", "pods", "pods", "sluice"}).Draw(t, "action")
}

func TestTrajectories(t *testing.T) {
	t.Parallel()
	reached := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t,
			rapid.SampledFrom([]int{1, 2, 3, 10}).Draw(t, "n"),
			rapid.SampledFrom([]any{"25%", 0, 1, "100%"}).Draw(t, "surge"),
			rapid.SampledFrom([]any{"25%", 1}).Draw(t, "unavailable"),
			rapid.SampledFrom([]string{"20%", "50%, 100%", "0%/100%, 100%"}).Draw(t, "steps"))
		if rapid.Bool().Draw(t, "routes") {
			s.traffic = newSimTraffic()
			s.traffic.lag = rapid.IntRange(0, 2).Draw(t, "lag")
		}
		defer func() {
			if t.Failed() {
				t.Logf("history:\n%s", strings.Join(s.log, "\n"))
			}
		}()
		s.wander(t)
		s.rest()
		history := strings.Join(s.log, "\n")
		for what, sign := range milestones {
			if strings.Contains(history, sign) {
				reached[what]++
			}
		}
	})
	t.Logf("reached: %v", reached)
	for what := range milestones {
		require.NotZero(t, reached[what], "no trajectory went through %q: this test shows nothing about it", what)
	}
}

// wander does one thing after another.
func (s *simulation) wander(t *rapid.T) {
	s.user("v2")
	for range rapid.IntRange(80, 500).Draw(t, "length") {
		s.act(t, drawAction(t))
	}
}

// rest lets the workload come to rest, with every deadline over in the end, also that of a step that has it once more
// since its pods were asked for late, and requires that it rests where people expect it to, without further writes.
func (s *simulation) rest() {
	s.settleDown()
	for range 2 {
		s.now = s.now.Add(time.Hour)
		s.settleDown()
	}
	writes := s.writes
	s.settleDown()
	require.Equal(s.t, writes, s.writes, "sluice writes in steady state")
	s.end()
}

// TestEveryActionAtEveryMoment does one thing, or two in a row, after every single step of a release
// that is approved as soon as it waits.
func TestEveryActionAtEveryMoment(t *testing.T) {
	t.Parallel()
	actions := [][]string{
		{"abort"}, {"abort", "retry"}, {"v1"}, {"v1", "v2"}, {"v3"}, {"v3", "v1"}, {"broken"}, {"break"}, {"break", "v3"}, {"chart"},
		{"resume", "resume"}, {"abort", "v3"}, {"abort", "v1"}, {"past admission"}, {"unpaused past admission"}, {"past admission", "approve all"}, {"v3", "approve all"}, {"v1", "approve all", "v2", "approve all", "v1", "approve all"},
	}
	unseen := map[string]string{
		"promotion by sequence C":       `"stage":"Finishing","sequence":"C"`,
		"an adopted canary is released": `Disown`,
		"the Event of sequence C":       `event ReleasePromoting: release 5: all pods are rolled out while the canary stays`,
	}
	for _, world := range []struct {
		n     int
		surge any
		steps string
	}{{1, "25%", "50%, 100%"}, {3, 0, "50%, 100%"}, {10, "25%", "20%"}} {
		for _, action := range actions {
			for moment := 0; ; moment++ {
				s, over := newSimulation(t, world.n, world.surge, 1, world.steps), false
				name := fmt.Sprintf("%s of %d, %v after step %d", world.steps, world.n, action, moment)
				if !t.Run(name, func(t *testing.T) { over = s.actAt(t, moment, action, false) }) || over {
					break
				}
				for what, sign := range unseen {
					if strings.Contains(strings.Join(s.log, "\n"), sign) {
						delete(unseen, what)
					}
				}
			}
		}
	}
	require.Empty(t, unseen, "no trajectory went through these: this test shows nothing about them")
}

// actAt runs a release up to the moment, acts, and lets it come to rest; true: it was over before.
func (s *simulation) actAt(t *testing.T, moment int, actions []string, slow bool) bool {
	s.t = t
	defer func() {
		if t.Failed() {
			t.Logf("history:\n%s", strings.Join(s.log, "\n"))
		}
	}()
	s.user("v2")
	require.Less(t, moment, 500, "the release never ends")
	for i := range moment {
		switch i % 3 {
		case 0:
			s.sluice()
		case 1:
			s.native()
		case 2:
			for _, set := range s.sets {
				s.pods(set)
			}
		}
		s.check()
		r := s.release()
		if r == nil {
			return true
		}
		if r.Phase == Waiting && r.ApprovedBy(r.Step) == "" {
			s.user("resume")
		}
	}
	s.slow = slow // from now on
	for _, action := range actions {
		s.user(action)
		s.check()
	}
	s.rest()
	return false
}

// milestones are what the random trajectories must have gone through, by a sign in their history.
var milestones = map[string]string{
	"a canary is adopted":     `"Adopt":{`,
	"promotion by sequence M": `"stage":"Finishing","sequence":"M"`,
	"a release ends":          `"EndRelease":true`,
	"a release is superseded": `Superseded`,
	"a release is reverted":   `Reverted`,
	"a release is aborted":    `"phase":"Aborted"`,
	"a canary breaks":         ` breaks`,
	"requests are divided":    `"Steer":{"Share":{"Match":"","Weight":20}}`,
}

// end requires that the workload rests where a person expects it to.
func (s *simulation) end() {
	r, d := s.release(), s.state()
	tells(s.t, s.workload(), r, s.conditions)
	if r == nil {
		require.Len(s.t, s.records, 0)
		if !strings.Contains(string(s.workload().Spec.Template), "broken") {
			require.True(s.t, d.Complete() || d.Paused, "it ended before the rollout was complete")
		}
		return
	}
	switch r.Phase {
	case Waiting, Aborted:
		all, available := s.observed().owned()
		if all <= d.Replicas || all-available <= d.MaxUnavailable { // else it keeps what serves
			require.Zero(s.t, r.Surge, "maxSurge stays pinned")
		}
	case Promoting, Reverting:
		require.False(s.t, r.Holds(), "it hangs in %s %s", r.Phase, r.Stage)
	case Progressing:
		require.Zero(s.t, r.Step, "it hangs in Progressing after every deadline")
	}
}
