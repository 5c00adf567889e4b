package canary

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// setSimulation is a StatefulSet with its pods, the native controller as in k8s.io/kubernetes
// pkg/controller/statefulset, sluice's admission (the real Decide) and its controller (the real Next).
type setSimulation struct {
	t          reporter
	d          object
	decoded    *Workload // of d
	generation int
	seen       int // the generation that the controller observed
	current    Revision
	broken     Revision // whose pods never become ready
	conditions []Condition
	pods       map[int32]*setPod
	uids       int
	parallel   bool
	// Of the controller's budget; 0 is 1.
	maxUnavailable int
	slow           bool // pods take up to four rounds to become ready
	now            time.Time
	writes         int
	approved       map[string]bool // template hashes that may run everywhere
	excess         int             // unapproved pods beyond the step's, that came with a scale-up or are on their way out
	dip            bool            // pods are missing for another reason than sluice
	log            []string
	traffic        *simTraffic     // nil: nothing divides requests
	revisions      map[string]bool // template hashes of which a ControllerRevision exists
}

type setPod struct {
	uid         string
	template    Revision
	broken      bool
	ready       bool
	terminating bool
	age         int // in rounds of the kubelet
}

func set(image string) object {
	return web(image).with("spec.strategy", nil).
		with("spec.updateStrategy", object{"type": "RollingUpdate", "rollingUpdate": object{"partition": 0}}).
		with("spec.podManagementPolicy", "OrderedReady")
}

func newSetSimulation(t reporter, n, partition int, parallel bool, steps string) *setSimulation {
	d := set("v1").with("spec.replicas", n).with("spec.updateStrategy.rollingUpdate.partition", partition).
		annotated(StepsAnnotation, steps).annotated(DeadlineAnnotation, "2m").with("metadata.resourceVersion", nil)
	if parallel {
		d = d.with("spec.podManagementPolicy", "Parallel")
	}
	s := &setSimulation{t: t, generation: 4, pods: map[int32]*setPod{}, parallel: parallel, now: time.Unix(1000000, 0), approved: map[string]bool{}, revisions: map[string]bool{}}
	s.store(d)
	s.current = s.template()
	s.approved[s.current.Hash] = true
	broken, err := HashTemplate(s.decode(d.image("broken")).Spec.Template)
	require.NoError(t, err)
	s.broken = Revision{Hash: broken}
	for range 3*n + 5 {
		s.native()
		s.kubelet()
	}
	return s
}

func (s *setSimulation) notef(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// store sets the stored object. Unlike a Deployment's, its generation counts changes of the spec alone.
func (s *setSimulation) store(d object) {
	before, err := json.Marshal(s.d["spec"])
	require.NoError(s.t, err)
	after, err := json.Marshal(d["spec"])
	require.NoError(s.t, err)
	if string(before) != string(after) {
		s.generation++
	}
	s.d = d.with("metadata.generation", s.generation)
	s.decoded = s.decode(s.d)
}

func (s *setSimulation) decode(d object) *Workload {
	raw, err := json.Marshal(d)
	require.NoError(s.t, err)
	w, err := DecodeWorkload(raw)
	require.NoError(s.t, err)
	return w
}

func (s *setSimulation) workload() *Workload { return s.decoded }

func (s *setSimulation) template() Revision {
	hash, err := s.workload().templateHash()
	require.NoError(s.t, err)
	return Revision{Hash: hash}
}

func (s *setSimulation) release() *Release {
	r, err := DecodeRelease(s.workload().Metadata.Annotations)
	require.NoError(s.t, err)
	return r
}

func (s *setSimulation) replicas() int32  { return s.workload().Replicas() }
func (s *setSimulation) partition() int32 { return s.workload().Spec.UpdateStrategy.Partition() }

func (s *setSimulation) write(sent object, user string, sluice bool) bool {
	d, err := Decide(Review{Operation: Update, Kind: StatefulSet, Old: s.workload(), New: s.decode(sent), User: user, Sluice: sluice}, may(VerbPromote, VerbAbort))
	require.NoError(s.t, err)
	if d.Verdict == Denied {
		s.notef("%s: denied: %s", user, d.Message)
		return false
	}
	s.store(sent.admitted(d))
	s.notef("%s: %s -> partition %d %s", user, d.Verdict, s.partition(), s.workload().Metadata.Annotations[ReleaseAnnotation])
	return true
}

// native runs one sync of the controller: it makes and deletes pods in order, waiting for each, then
// replaces those from the partition on, the highest first.
func (s *setSimulation) native() {
	s.traffic.accept(s)
	s.seen = s.generation
	n, update := s.replicas(), s.template()
	s.revisions[update.Hash] = true
	for index := range n {
		pod := s.pods[index]
		if pod == nil {
			template := update
			if index < s.partition() {
				template = s.current
			}
			s.uids++
			s.pods[index] = &setPod{uid: strconv.Itoa(s.uids), template: template, broken: template == s.broken}
			s.notef("native: pod %d is made of %s", index, template.Hash[:4])
			pod = s.pods[index]
		}
		if !s.parallel && (!pod.ready || pod.terminating) {
			return
		}
	}
	for index := int32(20); index >= n; index-- {
		if pod := s.pods[index]; pod != nil {
			s.deletePod(index, "native")
			if !s.parallel {
				return
			}
		}
	}
	s.roll(n, update)
}

func (s *setSimulation) roll(n int32, update Revision) {
	updated, ready := int32(0), int32(0)
	for index := range n {
		if s.pods[index].template == update {
			updated++
		}
		if s.pods[index].ready && !s.pods[index].terminating {
			ready++
		}
	}
	if updated == n && ready == n {
		if s.current != update {
			s.notef("native: %s is the current revision", update.Hash[:4])
		}
		s.current = update
		return
	}
	s.replace(n, update)
}

// replace deletes pods of other versions within the budget of maxUnavailable, in parallel those first that
// are not ready, whatever the budget (updateStatefulSetAfterInvariantEstablished).
func (s *setSimulation) replace(n int32, update Revision) {
	budget := int32(max(1, s.maxUnavailable))
	for index := range n {
		if pod := s.pods[index]; !pod.ready || pod.terminating {
			budget--
		}
	}
	old := func(index int32, ready bool) bool {
		pod := s.pods[index]
		return pod.template != update && !pod.terminating && pod.ready == ready
	}
	for index := n - 1; index >= max(0, s.partition()); index-- {
		if s.parallel && old(index, false) {
			s.deletePod(index, "native")
		}
	}
	for index := n - 1; index >= max(0, s.partition()) && budget > 0; index-- {
		if old(index, true) {
			s.deletePod(index, "native")
			budget--
		}
	}
}

func (s *setSimulation) deletePod(index int32, who string) {
	if pod := s.pods[index]; !pod.terminating {
		pod.terminating = true
		s.notef("%s: pod %d of %s is deleted", who, index, pod.template.Hash[:4])
	}
}

// kubelet ends and starts pods.
func (s *setSimulation) kubelet() {
	for index, pod := range s.pods {
		switch {
		case pod.terminating:
			delete(s.pods, index)
		default:
			uid, _ := strconv.Atoi(pod.uid)
			pod.age++
			pod.ready = !pod.broken && (!s.slow || pod.age > uid%4)
		}
	}
}

func (s *setSimulation) observed() Observed {
	w := s.workload()
	o := Observed{Kind: StatefulSet, Release: s.release(), Workload: WorkloadState{
		Name: "web", Generation: int64(s.generation), ObservedGeneration: int64(s.seen), Replicas: w.Replicas(),
		TemplateHash: s.template().Hash, Partition: s.partition(), InOrder: !s.parallel, Current: s.current,
		Conditions: s.conditions,
	}}
	for index := range w.Replicas() {
		if pod := s.pods[index]; pod != nil {
			o.Pods = append(o.Pods, Pod{Name: fmt.Sprint("web-", index), UID: pod.uid, Index: index, Template: pod.template,
				Ready: pod.ready, Available: pod.ready, Terminating: pod.terminating})
		}
	}
	o.Traffic = s.traffic.observed(s, o, s.now)
	return o
}

// sluice makes one move.
func (s *setSimulation) sluice() {
	if s.release() == nil {
		s.traffic.isGivenBack(s.t)
		return
	}
	o := s.observed()
	move := Next(o, s.now)
	require.Equal(s.t, move, Next(o, s.now), "the same observation gives another move")
	if move.Write == nil {
		return
	}
	s.writes++
	if s.traffic != nil {
		s.notef("sluice: %s", describe(move.Write))
	}
	if move.Event != nil {
		s.notef("event %s: %s", move.Event.Reason, move.Event.Message)
	}
	switch w := move.Write; {
	case w.SetRelease != nil:
		require.True(s.t, s.write(s.d.annotated(ReleaseAnnotation, w.SetRelease.Encode()), "sluice", true))
	case w.EndRelease:
		require.True(s.t, s.write(s.d.annotated(ReleaseAnnotation, ""), "sluice", true))
	case w.SetCondition != nil:
		s.conditions = []Condition{*w.SetCondition}
	case w.ClearConditions:
		s.conditions = nil
	case w.DeletePod != nil:
		require.Equal(s.t, w.DeletePod.UID, s.pods[w.DeletePod.Index].uid)
		s.deletePod(w.DeletePod.Index, "sluice")
	case w.SelectPods:
		s.traffic.selectPods(s.t, s)
	case w.Steer != nil:
		s.traffic.steer(w.Steer.Share)
	default:
		s.t.Fatalf("a write that a StatefulSet has no use for: %s", describe(w))
	}
}

func (s *setSimulation) user(name string) {
	r := s.release()
	switch name {
	case "approve":
		if r != nil && s.write(s.d.annotated(ApproveAnnotation, r.ApproveValue()), "alice", false) &&
			s.release().ApprovedBy(r.Step) != "" && r.Step == len(r.Policy.steps()) {
			s.approved[r.Canary.Hash] = true
		}
	case "approve full":
		if r != nil && s.write(s.d.annotated(ApproveAnnotation, r.ApproveFullValue()), "alice", false) && s.release().approval(r.Step).Full {
			s.approved[r.Canary.Hash] = true
		}
	case "abort":
		if r != nil {
			s.write(s.d.annotated(AbortAnnotation, r.Name()), "alice", false)
		}
	case "retry":
		if r != nil {
			s.write(s.d.annotated(RetryAnnotation, r.Name()), "alice", false)
		}
	case "chart":
		s.write(s.d.with("spec.updateStrategy.rollingUpdate.partition", 0), "helm", false)
	case "p0", "p2", "p4", "p9":
		partition, _ := strconv.Atoi(name[1:])
		s.write(partitioned(s.d, partition), "alice", false)
	case "break":
		s.breakCanary()
	case "evict":
		for index, pod := range s.pods {
			if index == s.replicas()-1 && !pod.terminating {
				s.dip = true
				s.deletePod(index, "eviction")
			}
		}
	case "n5", "n8", "n2":
		n, _ := strconv.Atoi(name[1:])
		s.store(s.d.with("spec.replicas", n)) // through /scale, which admission does not see
		s.dip = true
		s.notef("N = %d", n)
	default:
		s.write(s.d.image(name), "alice", false)
	}
}

func (s *setSimulation) breakCanary() {
	if r := s.release(); r != nil {
		for _, pod := range s.pods {
			if pod.template == r.Canary && !s.approved[r.Canary.Hash] {
				pod.broken, pod.ready, s.dip = true, false, true
			}
		}
	}
}

// unapproved counts pods of unapproved templates: those below N, and all, as those beyond it are on their
// way out unless N grows again.
func (s *setSimulation) unapproved() (below, all int) {
	for index, pod := range s.pods {
		if s.approved[pod.template.Hash] || pod.terminating {
			continue
		}
		all++
		if index < s.replicas() {
			below++
		}
	}
	return below, all
}

// check asserts the invariants that hold after every step.
func (s *setSimulation) check() {
	s.checkTraffic()
	r := s.release()
	unapproved, all := s.unapproved()
	if r == nil {
		require.True(s.t, s.approved[s.template().Hash], "an unapproved template has no release")
		return
	}
	most := 0
	for step := 1; step <= max(r.Step, 1); step++ {
		most = max(most, int(r.Policy.step(step).size(StatefulSet, s.replicas(), r.Held)))
	}
	if !r.Holds() || r.Step == 0 {
		most = 0
	}
	if r.Gate != nil {
		s.excess = max(s.excess, int(s.replicas()-*r.Gate)) // what a scale-up adds while the gate is open
	}
	// Pods of a superseded version only go.
	require.LessOrEqual(s.t, unapproved, max(most, s.excess), "more unapproved pods than the step allows")
	if r.Gate == nil {
		s.excess = min(max(s.excess, most), all)
	} else {
		s.excess = max(s.excess, unapproved) // as many as there are when a revert comes now
	}
	if s.current != s.template() && !s.approved[s.current.Hash] {
		s.t.Fatalf("the stable version is lost")
	}
	ready := 0
	for _, pod := range s.pods {
		if pod.ready && !pod.terminating {
			ready++
		}
	}
	if !s.dip {
		broken := 0
		for _, pod := range s.pods {
			if pod.broken {
				broken++
			}
		}
		require.GreaterOrEqual(s.t, ready, int(s.replicas())-max(1, s.maxUnavailable)-broken, "more pods are missing than may be")
	}
}

func (s *setSimulation) settleDown() {
	quiet := 0
	for range 2000 {
		before := len(s.log)
		s.native()
		s.check()
		s.kubelet()
		s.check()
		s.sluice()
		s.check()
		if quiet++; len(s.log) != before {
			quiet = 0
		}
		if quiet > 4 {
			return
		}
	}
	s.t.Fatalf("it does not settle:\n%s", strings.Join(s.log[max(0, len(s.log)-30):], "\n"))
}

// rest requires that the set comes to rest where people expect it to, without further writes.
func (s *setSimulation) rest() {
	s.settleDown()
	s.now = s.now.Add(time.Hour)
	s.settleDown()
	writes := s.writes
	s.settleDown()
	require.Equal(s.t, writes, s.writes, "sluice writes in steady state")
	r, stuck := s.release(), s.template() == s.broken
	tells(s.t, s.workload(), r, s.conditions)
	held := r.Holds()
	require.Equal(s.t, held, s.partition() == closed, "partition %d", s.partition())
	for index, pod := range s.pods {
		if !held && !stuck && index >= s.partition() {
			require.Equal(s.t, s.template(), pod.template, "pod %d", index)
		}
		if r != nil && r.Phase == Aborted && s.current != r.Canary { // below the user's own partition it is in force
			require.NotEqual(s.t, r.Canary, pod.template, "pod %d", index)
		}
	}
	switch {
	case r == nil || stuck || r.Step == 0:
	case r.Phase == Promoting && s.partition() >= s.replicas(): // paused by the user
	case r.Phase == Waiting:
		require.Len(s.t, statefulSet{s.observed()}.canaries(), int(r.Policy.step(r.Step).size(StatefulSet, s.replicas(), r.Held)))
	default:
		require.Contains(s.t, []Phase{Aborted}, r.Phase, "it hangs")
	}
}

func TestEveryActionOnAStatefulSetAtEveryMoment(t *testing.T) {
	t.Parallel()
	actions := [][]string{
		{}, {"abort"}, {"abort", "retry"}, {"v1"}, {"v1", "v2"}, {"v1", "v3"}, {"v3"}, {"v3", "v1"}, {"broken"}, {"broken", "v1"}, {"broken", "v3"},
		{"break"}, {"break", "v3"}, {"chart"}, {"chart", "approve"}, {"abort", "v3"}, {"abort", "v1"}, {"approve full"},
		{"evict"}, {"n5"}, {"n8"}, {"n2"}, {"n2", "n8"}, {"n8", "n2"}, {"n8", "v3"}, {"n5", "abort"}, {"evict", "abort"},
	}
	for _, world := range []struct {
		n        int
		steps    string
		parallel bool
	}{{1, "20%", false}, {2, "50%, 100%", false}, {3, "20%, 50%", false}, {5, "20%, 60%, 100%", false}, {5, "40%", true}} {
		for _, action := range actions {
			for moment, over := 0, false; !over; moment++ {
				name := fmt.Sprintf("%d pods, %s, parallel %t: %v after step %d", world.n, world.steps, world.parallel, action, moment)
				if !t.Run(name, func(t *testing.T) {
					over = newSetSimulation(t, world.n, 0, world.parallel, world.steps).actAt(t, moment, action)
				}) {
					break
				}
			}
		}
	}
}

func (s *setSimulation) failed(t interface {
	Failed() bool
	Logf(string, ...any)
}) {
	if t.Failed() {
		t.Logf("history:\n%s", strings.Join(s.log, "\n"))
	}
}

// actAt runs a release up to the moment, acts, and lets it come to rest; true: it was over before.
func (s *setSimulation) actAt(t *testing.T, moment int, actions []string) bool {
	defer s.failed(t)
	s.user("v2")
	s.check()
	for i := range moment {
		[]func(){s.sluice, s.native, s.kubelet}[i%3]()
		s.check()
		r := s.release()
		if r == nil {
			return true
		}
		if r.Phase == Waiting && r.ApprovedBy(r.Step) == "" {
			s.user("approve")
		}
	}
	for _, action := range actions {
		s.user(action)
		s.check()
	}
	s.rest()
	return false
}

func TestTrajectoriesOfAStatefulSet(t *testing.T) {
	t.Parallel()
	people := []string{"approve", "approve", "approve", "approve full", "abort", "retry", "chart", "v1", "v2", "v3", "broken", "break", "evict", "n5", "n8", "n2", "p0", "p2", "p4", "p9"}
	reached := map[string]int{"EndRelease": 0}
	rapid.Check(t, func(t *rapid.T) {
		s := newSetSimulation(t, rapid.SampledFrom([]int{1, 2, 3, 5}).Draw(t, "n"), rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "own"), rapid.Bool().Draw(t, "parallel"),
			rapid.SampledFrom([]string{"20%", "50%, 100%", "0%/100%, 100%"}).Draw(t, "steps"))
		defer s.failed(t)
		if rapid.Bool().Draw(t, "routes") {
			s.traffic = newSimTraffic()
			s.traffic.lag = rapid.IntRange(0, 2).Draw(t, "lag")
		}
		s.maxUnavailable, s.slow = rapid.IntRange(1, 3).Draw(t, "maxUnavailable"), rapid.Bool().Draw(t, "slow")
		s.user("v2")
		for range rapid.IntRange(20, 200).Draw(t, "length") {
			if rapid.IntRange(0, 14).Draw(t, "who") == 0 {
				s.user(rapid.SampledFrom(people).Draw(t, "action"))
			} else {
				rapid.SampledFrom([]func(){s.native, s.kubelet, s.sluice, s.sluice}).Draw(t, "actor")()
			}
			s.check()
		}
		s.rest()
		if slices.ContainsFunc(s.log, func(line string) bool { return strings.HasPrefix(line, "event ReleasePromoted") }) {
			reached["EndRelease"]++
		}
	})
	require.NotZero(t, reached["EndRelease"], "no trajectory ended in a promotion")
}

// heldSet is a StatefulSet of five pods with v2 held at step one.
func heldSet(t *testing.T) object {
	t.Helper()
	_, stored := request{stored: set("v1"), sent: set("v2"), kind: StatefulSet}.decide(t)
	return stored
}

func partitioned(o object, partition int) object {
	return o.with("spec.updateStrategy.rollingUpdate.partition", partition)
}

func TestAdmissionOfAStatefulSet(t *testing.T) {
	waiting := func(t *testing.T) object { return heldSet(t).changed(t, func(r *Release) { r.Phase = Waiting }) }
	open := func(t *testing.T) object {
		gate := int32(4)
		return partitioned(heldSet(t).changed(t, func(r *Release) { r.Gate = &gate }), 4)
	}
	rolling := func(t *testing.T) object {
		return partitioned(heldSet(t).changed(t, func(r *Release) { r.Phase, r.Stage, r.Sequence = Promoting, Finishing, SequenceP }), 0)
	}
	aborted := func(t *testing.T) object { return heldSet(t).changed(t, func(r *Release) { r.Phase = Aborted }) }
	for name, test := range map[string]struct {
		stored, sent  func(*testing.T) object
		user          string
		sluice        bool
		world         World
		wantVerdict   Verdict
		wantPhase     Phase // empty: no release
		wantStep      int
		wantPartition int32
		wantHeld      int32 // the user's own partition
		wantSays      string
	}{
		"a new version is held": {
			stored: fixed(set("v1")), sent: fixed(set("v2")),
			wantVerdict: Hold, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
			wantSays: "step 1 of 1 runs 1 new pod of 5; once available, approve with: kubectl annotate statefulset/web -n shop --overwrite sluice.dev/approve=5/1",
		},
		"the user's own partition is remembered": {
			stored: fixed(partitioned(set("v1"), 3)), sent: fixed(partitioned(set("v2"), 3)),
			wantVerdict: Hold, wantPhase: Progressing, wantStep: 1, wantPartition: closed, wantHeld: 3,
		},
		"a partition that no pod reaches is the user's own pause": {
			stored: fixed(partitioned(set("v1"), 5)), sent: fixed(partitioned(set("v2"), 5)),
			wantVerdict: Hold, wantPhase: Progressing, wantStep: 0, wantPartition: closed, wantHeld: 5,
			wantSays: "starts at step 1 with: kubectl patch statefulset/web -n shop -p",
		},
		"lowering it starts step one": {
			stored: func(t *testing.T) object {
				t.Helper()
				_, stored := request{stored: partitioned(set("v1"), 5), sent: partitioned(set("v2"), 5), kind: StatefulSet}.decide(t)
				return stored
			},
			sent: func(t *testing.T) object {
				t.Helper()
				_, stored := request{stored: partitioned(set("v1"), 5), sent: partitioned(set("v2"), 5), kind: StatefulSet}.decide(t)
				return partitioned(stored, 0)
			},
			wantVerdict: Carried, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"OnDelete is native": {
			stored:      fixed(set("v1").with("spec.updateStrategy", object{"type": "OnDelete"})),
			sent:        fixed(set("v2").with("spec.updateStrategy", object{"type": "OnDelete"})),
			wantVerdict: Native, wantSays: "its update strategy is OnDelete",
		},
		"a new version together with OnDelete is refused": {
			stored: fixed(set("v1")), sent: fixed(set("v2").with("spec.updateStrategy", object{"type": "OnDelete"})),
			wantVerdict: Denied, wantSays: "apply the update strategy alone first",
		},
		"nobody has observed the first version yet": {
			stored:      fixed(set("v1").with("status", object{})),
			sent:        fixed(set("v2")),
			wantVerdict: Native, wantSays: "never became available",
		},
		"the type Recreate is native": {
			stored:      fixed(set("v1").with("spec.updateStrategy", object{"type": "Recreate"})),
			sent:        fixed(set("v2").with("spec.updateStrategy", object{"type": "Recreate"})),
			wantVerdict: Native, wantSays: "its strategy is Recreate",
		},
		"a new version together with no replicas is refused": {
			stored: fixed(set("v1")), sent: fixed(set("v2").with("spec.replicas", 0)),
			wantVerdict: Denied, wantSays: "apply the number of replicas alone first",
		},
		"a raised partition closes the gate in the same write": {
			stored: open, sent: func(t *testing.T) object { t.Helper(); return partitioned(open(t), 3) },
			wantVerdict: Carried, wantPhase: Progressing, wantStep: 1, wantPartition: closed, wantHeld: 3,
		},
		"the stable version together with OnDelete is refused": {
			stored: waiting, sent: func(t *testing.T) object {
				t.Helper()
				return waiting(t).image("v1").with("spec.updateStrategy", object{"type": "OnDelete"})
			},
			wantVerdict: Denied, wantSays: "the strategy of statefulset/web cannot change",
		},
		"an outage is no reason to let a version through": {
			stored:      fixed(set("v1").with("status", object{"observedGeneration": 1})),
			sent:        fixed(set("v2")),
			wantVerdict: Hold, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"partition 0 applied again releases nothing": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return partitioned(waiting(t), 0) },
			wantVerdict: Carried, wantPhase: Waiting, wantStep: 1, wantPartition: closed,
			wantSays: `"partition: 0" approves nothing. Approve with: kubectl annotate statefulset/web`,
		},
		"a partition of the user's is in force afterwards": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return partitioned(waiting(t), 2) },
			wantVerdict: Carried, wantPhase: Waiting, wantStep: 1, wantPartition: closed, wantHeld: 2,
		},
		"a file is carried over": {
			stored: waiting, sent: fixed(set("v2").with("metadata.resourceVersion", nil)),
			wantVerdict: Carried, wantPhase: Waiting, wantStep: 1, wantPartition: closed,
		},
		"a scale-up closes the gate in the same write": {
			stored: open, sent: func(t *testing.T) object { t.Helper(); return open(t).with("spec.replicas", 8) },
			wantVerdict: Carried, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"the open gate is asserted again": {
			stored: open, sent: func(t *testing.T) object { t.Helper(); return partitioned(open(t), 0) },
			wantVerdict: Carried, wantPhase: Progressing, wantStep: 1, wantPartition: 4,
		},
		"an approval": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).annotated(ApproveAnnotation, "5/1") },
			world: may(VerbPromote), wantVerdict: Approved, wantPhase: Waiting, wantStep: 1, wantPartition: closed,
		},
		"an approval by somebody not permitted is refused": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).annotated(ApproveAnnotation, "5/1") },
			wantVerdict: Denied, wantSays: `the verb "promote" on statefulsets.apps`,
		},
		"an approval of another step does nothing": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).annotated(ApproveAnnotation, "5/2") },
			world: may(VerbPromote), wantVerdict: Carried, wantPhase: Waiting, wantStep: 1, wantPartition: closed, wantSays: "does nothing",
		},
		"an approval while pods are made is refused": {
			stored: open, sent: func(t *testing.T) object { t.Helper(); return open(t).annotated(ApproveAnnotation, "5/1") },
			world: may(VerbPromote), wantVerdict: Denied, wantSays: "is not ready",
		},
		"an approval while it rolls out approves nothing more": {
			stored: rolling, sent: func(t *testing.T) object { t.Helper(); return rolling(t).annotated(ApproveAnnotation, "5/1") },
			world: may(VerbPromote), wantVerdict: Carried, wantPhase: Promoting, wantStep: 1, wantSays: "is being promoted already",
		},
		"an approval together with a new version supersedes and approves nothing": {
			stored: waiting, sent: func(t *testing.T) object {
				t.Helper()
				return waiting(t).annotated(ApproveAnnotation, "5/full").image("v3")
			},
			world: may(VerbPromote), wantVerdict: Superseded, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"an abort closes the gate in the same write": {
			stored: open, sent: func(t *testing.T) object { t.Helper(); return open(t).annotated(AbortAnnotation, "5") },
			world: may(VerbAbort), wantVerdict: AbortedBy, wantPhase: Aborted, wantStep: 1, wantPartition: closed,
		},
		"an abort while it rolls out is too late": {
			stored: rolling, sent: func(t *testing.T) object { t.Helper(); return rolling(t).annotated(AbortAnnotation, "5") },
			world: may(VerbAbort), wantVerdict: Denied, wantSays: "apply the old version",
		},
		"a file with the aborted version": {
			stored: aborted, sent: fixed(set("v2").with("metadata.resourceVersion", nil)),
			wantVerdict: Carried, wantPhase: Aborted, wantStep: 1, wantPartition: closed, wantSays: "still held and aborted",
		},
		"a retry": {
			stored: aborted, sent: func(t *testing.T) object { t.Helper(); return aborted(t).annotated(RetryAnnotation, "5") },
			world: may(VerbPromote), wantVerdict: Retried, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"a partition of the user's while it rolls out is in force at once": {
			stored: rolling, sent: func(t *testing.T) object { t.Helper(); return partitioned(rolling(t), 2) },
			wantVerdict: Carried, wantPhase: Promoting, wantStep: 1, wantPartition: 2, wantHeld: 2,
		},
		"an approval of all steps": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).annotated(ApproveAnnotation, "5/full") },
			world: may(VerbPromote), wantVerdict: Approved, wantPhase: Waiting, wantStep: 1, wantPartition: closed, wantSays: "it is promoted",
		},
		"the old version reverts, and the native controller replaces the pods": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).image("v1") },
			wantVerdict: Reverted, wantPhase: Reverting, wantStep: 1, wantPartition: 0,
		},
		"the old version reverts, and stays held while requests may go to pods that the native controller would replace": {
			stored: func(t *testing.T) object {
				t.Helper()
				divided := waiting(t).changed(t, func(r *Release) { r.Divided = true })
				_, stored := request{stored: divided, sent: divided.image("v3"), kind: StatefulSet}.decide(t)
				return stored
			},
			sent:        func(t *testing.T) object { t.Helper(); return waiting(t).image("v1") },
			wantVerdict: Reverted, wantPhase: Reverting, wantStep: 1, wantPartition: closed,
		},
		"the version of a revert that was never approved is held again": {
			stored: func(t *testing.T) object {
				t.Helper()
				_, stored := request{stored: waiting(t), sent: waiting(t).image("v1"), kind: StatefulSet}.decide(t)
				return stored
			},
			sent:        fixed(set("v2").with("metadata.resourceVersion", nil)),
			wantVerdict: Superseded, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"another version during the promotion holds the mix": {
			stored: rolling, sent: func(t *testing.T) object { t.Helper(); return rolling(t).image("v3") },
			wantVerdict: Superseded, wantPhase: Progressing, wantStep: 1, wantPartition: closed,
		},
		"no replicas are refused": {
			stored: waiting, sent: func(t *testing.T) object { t.Helper(); return waiting(t).with("spec.replicas", 0) },
			wantVerdict: Denied, wantSays: "statefulset/web cannot be scaled to 0",
		},
		"another strategy is refused": {
			stored: waiting, sent: func(t *testing.T) object {
				t.Helper()
				return waiting(t).with("spec.updateStrategy", object{"type": "OnDelete"})
			},
			wantVerdict: Denied, wantSays: "the strategy of statefulset/web cannot change",
		},
		"sluice opens the gate": {
			stored: func(t *testing.T) object { t.Helper(); return heldSet(t) }, sent: func(t *testing.T) object {
				t.Helper()
				gate := int32(4)
				return heldSet(t).changed(t, func(r *Release) { r.Gate = &gate })
			},
			sluice: true, wantVerdict: Advanced, wantPhase: Progressing, wantStep: 1, wantPartition: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, stored := request{stored: test.stored(t), sent: test.sent(t), kind: StatefulSet, user: test.user, sluice: test.sluice, world: test.world}.decide(t)
			require.Equal(t, test.wantVerdict, d.Verdict, "%s %v", d.Message, d.Warnings)
			require.Contains(t, d.Message+strings.Join(d.Warnings, "\n"), test.wantSays)
			if d.Verdict == Denied {
				return
			}
			require.Equal(t, test.wantPartition, stored.workload(t).Spec.UpdateStrategy.Partition())
			r := stored.release(t)
			if test.wantPhase == "" {
				require.Nil(t, r)
				return
			}
			require.Equal(t, test.wantPhase, r.Phase)
			require.Equal(t, test.wantStep, r.Step)
			require.Equal(t, test.wantHeld, r.Held.Partition)
			for _, warning := range d.Warnings {
				require.LessOrEqual(t, len(warning), 256, "the API server cuts it: %s", warning)
			}
		})
	}
}

func fixed(o object) func(*testing.T) object { return func(*testing.T) object { return o } }

func TestACopyOfAHeldStatefulSetHasItsOwnPartition(t *testing.T) {
	o := heldSet(t).changed(t, func(r *Release) { r.Held.Partition = 2 }).with("metadata.uid", nil)
	_, stored := request{sent: o, kind: StatefulSet}.decide(t)
	require.EqualValues(t, 2, stored.workload(t).Spec.UpdateStrategy.Partition())
	require.Nil(t, stored.release(t))
}
